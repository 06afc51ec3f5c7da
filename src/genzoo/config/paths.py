"""Where things lie: the YAML files, the zoo, and what a run's folder holds."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

# In a run's folder.
CONFIG = "config.yaml"
LAST = Path("checkpoints") / "last.ckpt"


def config_dir() -> Path:
    """Where the YAML files lie: inside the package (a wheel) or at the repository's top."""
    inside = Path(__file__).parents[1] / "configs"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "configs"


def zoo_dir() -> Path:
    """Where the small trained models lie that come with genzoo: found as the YAML files are."""
    return config_dir().with_name("zoo")


_own: list[Path] = []  # folders of configurations of the person's own


def use_own(folders: Iterable[Path]) -> None:
    """Have the person's own folders of configurations count, besides genzoo's.

    Args:
        folders: that the command line names, instead of those of an earlier one.
    """
    _own[:] = [folder.expanduser().resolve() for folder in folders]


def searched(word: str) -> Path | None:
    """The folder that an entry of Hydra's search path means: `file://...` or `pkg://...`.

    None where it means nothing that is there.
    """
    scheme, _, place = word.partition("://")
    if scheme == "file":
        return Path(place)
    if scheme != "pkg":
        return None
    try:
        found = importlib.util.find_spec(place.replace("/", "."))
    except Exception:  # whatever the package above it raises: Hydra tells of it in one line
        return None
    folders = (found.submodule_search_locations if found is not None else None) or []
    return next(map(Path, folders), None)


def own_dirs() -> list[Path]:
    """The person's own folders of configurations, as the command line names them."""
    return list(_own)


def config_dirs() -> list[Path]:
    """Where configurations lie: genzoo's own folder first."""
    return [config_dir(), *_own]


def groups() -> dict[str, list[str]]:
    """The configuration groups and the options of each, by their files; `a/b` lies within `a`."""
    found: dict[str, set[str]] = {}
    for root in config_dirs():
        for folder in sorted(root.rglob("*")):
            if folder.is_dir() and not _hidden(folder.relative_to(root)):
                options = {file.stem for file in folder.glob("*.yaml")}
                found.setdefault(folder.relative_to(root).as_posix(), set()).update(options)
    return {name: sorted(options) for name, options in sorted(found.items())}


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
