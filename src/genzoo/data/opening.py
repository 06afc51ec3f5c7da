"""`genzoo.data.open`: captioned images by the name that `data=` has on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from genzoo.config.objects import build
from genzoo.config.paths import config_dir
from genzoo.config.schema import check_values
from genzoo.config.values import composed, escaped
from genzoo.core.arguments import plain
from genzoo.core.errors import UsageError
from genzoo.data.dataset import TextImageData
from genzoo.machine.console import silence


def open(
    name: str, *, root: str | Path | None = None, verbose: bool = False, **settings: Any
) -> TextImageData:
    """Captioned images, prepared on first use and cached.

    Args:
        name: `openmoji`, `shapes`, `fashion_mnist` or `folder`: a file of configs/data.
        root: the folder, for data that lie in one.
        verbose: whether to say what is done.
        **settings: keys of that file, such as `image_size=16`, `validation=0.2` or, in a mapping,
            `source={"count": 100}`.

    Raises:
        UsageError: for unknown data, keys or values.
        GenzooError: for images that cannot be fetched or read.

    Examples:
        >>> data = genzoo.data.open("shapes", image_size=16, source={"count": 100})
        >>> data.captions[0], data.images([0, 1]).shape
    """
    files = {file.stem: file for file in sorted((config_dir() / "data").glob("*.yaml"))}
    if not isinstance(name, str) or name not in files:
        raise UsageError(f"there is no data {name!r}", f"choose one of {', '.join(files)}")
    section = yaml.safe_load(files[name].read_text(encoding="utf-8"))
    given = {**settings, **({} if root is None else {"root": str(root)})}
    _replace(section, given, prefix="")
    cfg = composed({"data": section})
    check_values(cfg)
    node = OmegaConf.to_container(cfg.data, resolve=True)
    assert isinstance(node, dict)
    with silence(not verbose):
        data: TextImageData = build({str(key): value for key, value in node.items()})
    return data


def _replace(section: dict[str, Any], given: Mapping[str, Any], *, prefix: str) -> None:
    """Put values in the place of a file's.

    Raises:
        UsageError: for a key that the file does not have.
    """
    for key, value in given.items():
        if key not in section or key in ("name", "_target_"):
            known = ", ".join(k for k in section if k not in ("name", "_target_"))
            raise UsageError(f"the data have no setting {prefix}{key}", f"there are: {known}")
        if isinstance(section[key], dict) and isinstance(value, Mapping):
            _replace(section[key], value, prefix=f"{prefix}{key}.")
        else:
            section[key] = escaped(plain(str(value) if isinstance(value, Path) else value))
