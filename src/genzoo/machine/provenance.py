"""Which software and machine made a number."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from pathlib import Path

from genzoo import __version__


@lru_cache
def git_revision() -> str | None:
    """The checkout's commit, with a plus where tracked files were changed; None in a wheel."""
    here = Path(__file__).parents[1]  # src/genzoo
    try:
        top = _git(here, "rev-parse", "--show-toplevel")
        if (Path(top) / "src" / "genzoo").resolve() != here.resolve():
            return None  # installed inside somebody else's repository
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
        return _git(here, "rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def software() -> dict[str, str | None]:
    """Versions of genzoo, Python and torch."""
    import torch

    return {
        "version": __version__,
        "git": git_revision(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()
