"""Files of earlier versions, whose classes had other names."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from genzoo.config.objects import target
from genzoo.config.paths import zoo_dir
from genzoo.config.renamed import RENAMED, with_new_names
from genzoo.run.runfolder import finished
from genzoo.weights import checkpoint, exported, saved


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_leads_to_a_class_of_the_allowlist(old: str, new: str) -> None:
    target(new)
    with pytest.raises(Exception, match="does not exist"):
        target(old)
    assert any(new in saved.classes(slot) for slot in saved.SLOTS)


def test_names_change_where_classes_are_named_and_nowhere_else() -> None:
    old, new = next(iter(RENAMED.items()))
    values = {
        "a": [{"_target_": old, "name": old}],
        "_target_": "some.Other",
        "b": {"_target_": 3},
    }
    expected = {**values, "a": [{"_target_": new, "name": old}]}
    assert with_new_names(values) == expected


def test_an_old_file_is_read_with_todays_names() -> None:
    file = zoo_dir() / "glide_16.safetensors"
    about, _ = exported.read(file)
    assert about is not None
    assert about["config"]["guidance"]["_target_"] in RENAMED  # a file of before
    read = checkpoint.configuration(file)
    assert read["guidance"]["_target_"] == RENAMED[about["config"]["guidance"]["_target_"]]
    saved.admitted(read, path=file)  # null model: refused under its old name
    with pytest.raises(Exception, match="not one of genzoo's"):
        saved.admitted(about["config"], path=file)


def test_an_interrupted_run_of_before_is_the_same_run(tmp_path: Path) -> None:
    from genzoo.run import runfolder

    old, new = next(iter(RENAMED.items()))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"guidance": {"_target_": old}}))
    assert not finished(tmp_path)
    assert not runfolder.differences(runfolder._saved(tmp_path), {"guidance": {"_target_": new}})
