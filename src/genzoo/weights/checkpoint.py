"""Finding and reading checkpoints: tensors and plain data, never a pickle that runs code.

A checkpoint is what Lightning writes plus one entry, ``genzoo``: the format's number, the resolved
configuration, the tokenizer, the images seen, the training seconds, the fingerprint of the data,
version and git revision. Files of `genzoo.weights.exported` and the reference's are read as well.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from genzoo.config import paths
from genzoo.config.paths import zoo_dir
from genzoo.config.renamed import with_new_names
from genzoo.core.errors import UsageError
from genzoo.machine import redaction
from genzoo.weights import exported, released, saved
from genzoo.weights.content import read_content

FORMAT = 1
LAST = paths.LAST
# Metadata of every checkpoint besides its configuration.
KNOWN = {"tokenizer": str, "images_seen": int, "seconds": int | float, "version": str}


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint, apart from the optimiser's state.

    Attributes:
        path: the file.
        about: the entry ``genzoo``.
        weights: the parameters as trained, by name; none where training cannot be continued,
            as in exported and released files.
        ema: their moving averages, which are evaluated.
        released: whether it is a released file, not one of genzoo's.
    """

    path: Path
    about: dict[str, Any]
    weights: dict[str, Tensor]
    ema: dict[str, Tensor]
    released: bool = False

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration of the run that wrote it."""
        config: dict[str, Any] = self.about["config"]
        return config

    @property
    def run_folder(self) -> Path:
        """The folder of the run that wrote it."""
        return self.path.parent.parent

    @property
    def name(self) -> str:
        """Its short name: zoo/NAME, its run's folder, or its file."""
        if self._of_zoo:
            return f"zoo/{self.path.stem}"
        return self.run_folder.name if self.path.name == LAST.name else self.path.name

    @property
    def mention(self) -> str:
        """How images name it: its short name and the beginning of its checksum."""
        return f"{self.name} {redaction.mentioned(self.path).rpartition(' ')[2]}"

    @property
    def _of_zoo(self) -> bool:
        return self.path.parent == zoo_dir().resolve()

    @property
    def origin(self) -> str | None:
        """The origin of released or fine-tuned weights; None where a run trained all of them."""
        if self._of_zoo:
            return self.name
        origin: str | None = self.about.get("origin")
        return origin


def find(word: str, *, output: str | Path) -> Path:
    """The file that a `checkpoint=` names.

    Args:
        word: a file, a run folder, ``last`` for the newest run below `output`, or ``zoo/NAME``
            for a model that comes with genzoo.
        output: where runs are written.

    Raises:
        UsageError: where there is none.
    """
    if word == "last":
        found = sorted(_runs_below(Path(output)))
        if not found:
            raise UsageError(
                f"there is no run with a checkpoint below {output}",
                "train one first, or name a file",
            )
        return found[-1][1].resolve()
    path = Path(word).expanduser()
    if path.is_dir():
        path = path / LAST
    if not path.is_file() and (name := re.fullmatch(r"zoo/(\w+)", word)):
        path = zoo_dir() / f"{name[1]}.safetensors"
    if not path.is_file():
        zoo = ", ".join(f"zoo/{file.stem}" for file in sorted(zoo_dir().glob("*.safetensors")))
        raise UsageError(
            f"there is no checkpoint {word}",
            "name a file, a run folder with checkpoints/last.ckpt, `last` for the newest run"
            + (f", or one of {zoo}" if zoo else ""),
        )
    return path.resolve()


def _runs_below(output: Path) -> Iterator[tuple[float, Path]]:
    """The last checkpoints below a folder, links followed, with their modification times."""
    seen: set[str] = set()
    for folder, folders, _ in os.walk(output, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        path = Path(folder) / LAST
        with contextlib.suppress(OSError):  # being replaced, or not readable
            yield path.stat().st_mtime, path


def read(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU: genzoo's own, released, or fine-tuned from a released one.

    Of a model in several files, any one of them may be named; the others have to lie beside it.

    Raises:
        GenzooError: for a damaged file.
        UsageError: for a file of another kind or a newer format.
    """
    content = read_content(path)
    about = _about(content, path)
    theirs = released.format_of(content)
    if theirs is not None:
        weights = theirs.weights_of(content, path)
        return Checkpoint(path, about, {}, weights, released=True)
    if "averages" in content:
        return Checkpoint(path, about, {}, _tensors(content["averages"], path))
    state = _tensors(content.get("state_dict"), path)
    return Checkpoint(path, about, _below(state, "model."), _below(state, "ema.model."))


def _tensors(state: object, path: Path) -> dict[str, Tensor]:
    """The state dict at the place of the weights, checked."""
    named = isinstance(state, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    )
    if not named or not state:
        raise UsageError(f"{path} holds no weights", "name a checkpoint that genzoo wrote")
    assert isinstance(state, dict)
    return state


def about(path: Path) -> dict[str, Any]:
    """The metadata of a checkpoint, without converting any weights; raises as `read`."""
    return _about(read_content(path), path)


def configuration(path: Path) -> dict[str, Any]:
    """The configuration of a checkpoint alone; raises as `read`."""
    config: dict[str, Any] = about(path)["config"]
    return config


def _about(content: Any, path: Path) -> dict[str, Any]:
    theirs = released.format_of(content)
    if theirs is not None:
        return theirs.about_of(content, path)
    about = content.get(exported.ENTRY) if isinstance(content, dict) else None
    if not isinstance(about, dict) or "config" not in about:
        raise UsageError(
            f"{path} holds {released.described(content)}, neither a genzoo checkpoint nor "
            f"weights of {released.TITLES}",
            "name a checkpoints/last.ckpt, an exported file, or released weights",
        )
    if about.get("format") != FORMAT:
        raise UsageError(
            f"{path} has checkpoint format {about.get('format')}, this genzoo reads {FORMAT}",
            f"use the genzoo that wrote it (version {about.get('version')})",
        )
    config = with_new_names(saved.examined(about["config"], path=path))
    for key, kinds in KNOWN.items():
        if not isinstance(about.get(key), kinds):
            raise UsageError(
                f"{path} lacks the metadata of a genzoo checkpoint ({key})",
                "name a checkpoint that genzoo wrote",
            )
    return {**about, "config": config}


def load_into(model: nn.Module, weights: dict[str, Tensor], *, path: Path) -> None:
    """Copy weights into a model with exactly the same parameters.

    Raises:
        UsageError: names the keys that are missing, left over or of another shape.
    """
    own = {name: value.shape for name, value in model.state_dict().items()}
    problems = [
        *(f"missing {name}" for name in own.keys() - weights.keys()),
        *(f"unknown {name}" for name in weights.keys() - own.keys()),
        *(
            f"{name} is {tuple(weights[name].shape)}, not {tuple(shape)}"
            for name, shape in own.items()
            if name in weights and weights[name].shape != shape
        ),
    ]
    if problems:
        raise UsageError(
            f"{path} does not fit the model in {len(problems)} entries: "
            + "; ".join(sorted(problems)[:4]),
            "leave the model's keys as they are in the checkpoint",
        )
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:  # a type of tensor that cannot be copied
        raise UsageError(
            f"{path} holds weights that cannot be read ({' '.join(str(error).split())[:200]})",
            "name a checkpoint that genzoo wrote",
        ) from error


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.startswith(prefix)
    }
