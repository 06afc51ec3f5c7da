"""Which revision a number comes from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import genzoo
from genzoo.machine.provenance import software

PACKAGE = Path(genzoo.__file__).parent
SAY = "from genzoo.machine.provenance import git_revision; print(git_revision())"


def git(folder: Path, *arguments: str) -> str:
    name = ("-c", "user.name=a", "-c", "user.email=a@b")
    line = ["git", *name, *arguments]
    return subprocess.run(line, cwd=folder, check=True, capture_output=True, text=True).stdout


def said(source: Path) -> str:
    line = [sys.executable, "-c", SAY]
    result = subprocess.run(
        line, env={"PYTHONPATH": str(source)}, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


def test_a_checkout_says_its_commit_and_somebody_elses_repository_says_none(
    tmp_path: Path,
) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(PACKAGE, checkout / "src" / "genzoo", ignore=shutil.ignore_patterns("__py*"))
    git(checkout, "init", "-q")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "all")
    revision = git(checkout, "rev-parse", "--short=12", "HEAD").strip()
    assert said(checkout / "src") == revision
    file = checkout / "src" / "genzoo" / "__init__.py"
    file.write_text(file.read_text() + "\n")
    assert said(checkout / "src") == f"{revision}+"

    other = tmp_path / "other"  # a virtual environment inside a repository of something else
    shutil.copytree(PACKAGE, other / "lib" / "genzoo", ignore=shutil.ignore_patterns("__py*"))
    git(other, "init", "-q")
    git(other, "add", "-A")
    git(other, "commit", "-qm", "all")
    assert said(other / "lib") == "None"


def test_all_that_made_a_number_is_named() -> None:
    assert set(software()) == {"version", "git", "python", "torch"}
