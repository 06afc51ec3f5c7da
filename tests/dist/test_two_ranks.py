"""Two processes on the CPU: the same numbers as one, in a sweep too, and no hang on a death."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from tests.captioned import captioned_folder
from tests.shell import Command, Result
from tests.small import DATA, SMALL, TRAINING

pytestmark = pytest.mark.dist


def command(folder: Path, *arguments: str) -> Result:
    """With ranks that are forked; the last test here has genzoo's own, and so has test_gan."""
    env = {"OMP_NUM_THREADS": "1"}
    return Command(*arguments, cwd=folder, env=env, module="tests.ranks").wait()


def metrics(folder: Path) -> dict[str, float]:
    entries = json.loads((folder / "results.json").read_text())["metrics"]
    return {name: entry["value"] for name, entry in entries.items()}


def quality(folder: Path) -> list[float]:
    """The kernel distances that were measured during training."""
    points = map(json.loads, (folder / "curves.jsonl").read_text().splitlines())
    name = "quality/kernel_distance/efficientnet_lite0"
    return [point[name] for point in points if name in point]


def test_two_ranks_in_a_sweep_agree_with_one(tmp_path: Path) -> None:
    during = ("metrics.during=[40]", "metrics.during_images=10")
    one = command(tmp_path, "model=vae", *SMALL, *during, "hydra.run.dir=one")
    assert one.status == 0, one.err
    two = command(
        tmp_path,
        "-m",
        "model=vae,autoencoder",
        *SMALL,
        *during,
        "trainer.processes=2",
        "hydra.sweep.dir=sweep",
    )
    assert two.status == 0, two.err
    jobs = sorted(path.parent for path in (tmp_path / "sweep").glob("*/results.json"))
    assert [job.name for job in jobs] == ["0-vae-seed0", "1-autoencoder-seed0"]
    assert (tmp_path / "sweep" / "comparison.html").exists()
    alone, together = metrics(tmp_path / "one"), metrics(jobs[0])
    assert alone.keys() == together.keys()
    for name, value in alone.items():
        assert together[name] == pytest.approx(value, rel=1e-3, abs=1e-4), name
    same_weights(tmp_path / "one", jobs[0])
    measured = [quality(folder) for folder in (tmp_path / "one", jobs[0])]
    assert len(measured[0]) == 1
    assert measured[1] == pytest.approx(measured[0], rel=1e-3)

    again = command(
        tmp_path,
        "task=evaluate",
        f"checkpoint={jobs[0]}",
        "trainer.processes=2",
        "logger=none",
        *[argument for argument in SMALL if argument.startswith("metrics.")],
        "hydra.run.dir=again",
    )
    assert again.status == 0, again.err
    for name, value in metrics(tmp_path / "again").items():
        assert value == pytest.approx(together[name], rel=1e-5, abs=1e-6), name


def test_pairs_are_told_apart_among_those_of_all_processes(tmp_path: Path) -> None:
    """Two halves of a batch, each told from all of it, teach what the whole batch teaches.

    Each image has three captions, and 18 are trained on: batches of 16 show some images twice,
    with captions that are not wrong for one another.
    """
    root = captioned_folder(tmp_path / "images", images=24, captions=3)
    tiny = ("model.image.layers=1", "model.text.layers=1", "metrics.held_out_images=12")
    data = ("data=folder", f"data.root={root}", "data.validation=0.25")
    own = (*TRAINING, *DATA, *data, *tiny, "model=clip", "budget.images=48")
    for arguments in (
        ["hydra.run.dir=one"],
        ["hydra.run.dir=two", "trainer.processes=2"],
        ["hydra.run.dir=sharded", "trainer.processes=2", "strategy=fsdp"],
    ):
        done = command(tmp_path, *own, *arguments)
        assert done.status == 0, done.err
    same_weights(tmp_path / "one", tmp_path / "two")
    same_weights(tmp_path / "one", tmp_path / "sharded")
    found = json.loads((tmp_path / "two" / "results.json").read_text())
    stamp = found["metrics"]["recall_at_1/text_to_image"]["stamp"]
    assert stamp["retrieved_captions"] == 3 * stamp["images"]
    assert (found["data"]["images"], found["data"]["captions"]) == (24, 72)


def test_sharded_weights_learn_the_same_and_go_on(tmp_path: Path) -> None:
    """FSDP: training with a look in between, saving, and resuming from the file."""
    small = (*SMALL, "trainer.monitor_images=32", "trainer.validation_images=8")
    sharded = ("trainer.processes=2", "strategy=fsdp")
    for arguments in (
        ["model=vae", *small, "hydra.run.dir=one"],
        ["model=vae", *small, *sharded, "budget.images=48", "hydra.run.dir=half"],
        ["checkpoint=half", *small, *sharded, "hydra.run.dir=rest"],
    ):
        done = command(tmp_path, *arguments)
        assert done.status == 0, done.err
    same_weights(tmp_path / "one", tmp_path / "rest")


def same_weights(one: Path, other: Path) -> None:
    first, second = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (one, other)
    )
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], atol=1e-5, rtol=1e-4)


def test_a_rank_that_dies_ends_the_run_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "breaks.py").write_text(
        "import os\n"
        "from genzoo.models.vae import VAE\n"
        "class Breaks(VAE):\n"
        "    def losses(self, batch, *, noise):\n"
        "        if os.environ.get('RANK') == '1':\n"
        "            raise ValueError('rank one has had enough')\n"
        "        return super().losses(batch, noise=noise)\n"
    )
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    failed = Command(
        "model=vae", *SMALL, "trainer.processes=2", "model._target_=breaks.Breaks",
        cwd=tmp_path, env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, fresh=True,
    ).wait()  # fmt: skip
    assert failed.status == 1
    lines = [line for line in failed.err.splitlines() if line.startswith("genzoo: ")]
    assert len(lines) == 1
    assert "rank one has had enough" in lines[0]
    assert "Traceback" not in failed.err
