"""Where things lie: the YAML files, the zoo, and what a run's folder holds."""

from __future__ import annotations

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


def groups() -> dict[str, list[str]]:
    """The configuration groups and the options of each, by their files; `a/b` lies within `a`."""
    root = config_dir()
    return {
        folder.relative_to(root).as_posix(): sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(root.rglob("*"))
        if folder.is_dir()
    }
