"""The panel of the samples that lie nearest to training images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from genzoo.core.errors import GenzooError
from genzoo.report.comparison import Comparison, compare_runs
from genzoo.report.html import html
from genzoo.report.runs import load_run
from genzoo.report.suspects import suspects
from tests.fake_runs import write_json, write_run


def with_pairs(folder: Path, *, count: int = 7, **changed: Any) -> Comparison:
    run = write_run(folder / "run")
    place = run / "gallery" / "memorisation"
    place.mkdir()
    pairs = []
    for k in range(count):
        names = {"sample": f"sample-{k}.png", "training": f"training-{k}.png"}
        for name in names.values():
            Image.new("RGB", (4, 4), (k, 0, 0)).save(place / name)
        pairs.append({"caption": f"<b>{k}", "training_caption": f"real {k}", "ratio": k / 10,
                      "near_copy": k < 2, **names})  # fmt: skip
    content = {"share": 0.031, "interval": [0.012, 0.0504], "threshold": 0.15, "pairs": pairs}
    write_json(place / "memorisation.json", content | changed)
    return compare_runs([load_run(run)])


def test_five_pairs_with_the_share_and_its_interval(tmp_path: Path) -> None:
    comparison = with_pairs(tmp_path)
    (found,) = suspects(comparison)
    assert found.share == "3.1 % near-copies, 95 % interval 1.2 % to 5.0 %"
    assert [pair.ratio for pair in found.pairs] == [0.0, 0.1, 0.2, 0.3, 0.4]
    page = html(comparison)
    assert "Copies of training images?" in page
    assert page.count('class="copy"') == 2
    assert "&lt;b&gt;0" in page
    assert "<b>0" not in page
    assert page.count('alt="training image: real ') == 5


def test_without_pairs_there_is_no_panel(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    comparison = compare_runs([load_run(tmp_path / "a")])
    assert suspects(comparison) == []
    assert "Copies of training images?" not in html(comparison)


@pytest.mark.parametrize("pairs", [None, 3, [3], [{"ratio": "x"}], [{"ratio": 1.0}]])
def test_what_is_no_pair_is_left_out(tmp_path: Path, pairs: object) -> None:
    assert suspects(with_pairs(tmp_path, pairs=pairs)) == []


def test_no_share_is_not_recorded(tmp_path: Path) -> None:
    (found,) = suspects(with_pairs(tmp_path, share=None))
    assert found.share == "share of near-copies not recorded"


def test_files_elsewhere_are_refused(tmp_path: Path) -> None:
    pair = {"ratio": 0.0, "sample": "../../config.yaml", "training": "training-0.png"}
    with pytest.raises(GenzooError, match="outside its folder"):
        suspects(with_pairs(tmp_path, pairs=[pair]))
