"""A few of `bench.kills`' kills, and that it would notice a run that ends differently."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from bench import kills


def test_killed_runs_end_as_undisturbed_ones(tmp_path: Path) -> None:
    tally = kills.kill(["gan"], kills=3, seconds=60, seed=1, root=tmp_path)["gan"]
    assert tally.wrong == []
    assert tally.kills > 0
    assert tally.ends == tally.identical > 0
    assert "gan" in kills.table({"gan": tally})
    one, other = tmp_path / "gan" / "undisturbed", tmp_path / "other"
    shutil.copytree(one, other)
    assert kills.differences(kills.left(one), kills.left(other)) == []
    path = other / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    next(iter(content["state_dict"].values())).view(-1)[0] += 1e-7
    torch.save(content, path)
    point = {"images": 240, "seconds": 9.0, "train/total": 0.5}
    with (other / "curves.jsonl").open("a") as file:
        file.write(json.dumps(point) + "\n")  # doubled, say
    found = kills.differences(kills.left(one), kills.left(other))
    assert len([key for key in found if key.startswith(".state_dict.")]) == 1
    assert len([key for key in found if key.startswith(".curves[")]) == 3 - 1
