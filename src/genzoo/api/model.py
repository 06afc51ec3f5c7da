"""A trained model as a Python object, for notebooks and scripts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from jaxtyping import UInt8
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from genzoo.api.loaded_model import LoadedModel
from genzoo.api.manners import undisturbed
from genzoo.api.pictures import as_pictures
from genzoo.api.settings import chosen
from genzoo.core.errors import UsageError
from genzoo.core.types import Capabilities
from genzoo.models.base import GenerativeModel
from genzoo.run import build, devices, scorers
from genzoo.text.stored import read_tokenizer
from genzoo.weights.checkpoint import Checkpoint

BATCH = 64  # images at once; does not change them


class Model:
    """A trained model; `genzoo.load` gives one.

    Image i of a call depends on its seed, its number i and its caption alone: the same call gives
    the same images, whatever was sampled before, and those that `python -m genzoo task=sample`
    writes. A call with `guidance`, `sampler` or `steps` at None samples as the checkpoint says.

    Attributes:
        config: the resolved configuration of the run that made it, as plain data.
        name: what people know the checkpoint by, such as `zoo/glide`.
    """

    def __init__(
        self,
        cfg: DictConfig,
        network: GenerativeModel,
        checkpoint: Checkpoint,
        *,
        verbose: bool = False,
    ) -> None:
        self.config: dict[str, Any] = checkpoint.config
        self.name = checkpoint.name
        self._cfg = cfg
        self._device = devices.device(cfg)
        self._network = network.to(self._device)
        self._checkpoint = checkpoint
        self._tokenizer = read_tokenizer(checkpoint.about["tokenizer"])
        self._verbose = verbose

    def __repr__(self) -> str:
        seen = self._checkpoint.about["images_seen"]
        return (
            f"<{self.name}: {self.family}, {self.image_size} px, {seen:,} images seen, "
            f"on {self._device}>"
        )

    @property
    def family(self) -> str:
        """Its kind, as `model=` names it."""
        return str(self._cfg.model.name)

    @property
    def image_size(self) -> int:
        """Height and width of its images, in pixels."""
        return int(self._cfg.data.image_size)

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._network.capabilities

    def sample(
        self,
        captions: str | Sequence[str] = "",
        *,
        count: int | None = None,
        seed: int = 0,
        guidance: float | None = None,
        steps: int | str | None = None,
        sampler: str | None = None,
        label: int | None = None,
        batch: int = BATCH,
    ) -> list[Image.Image]:
        """Sample images from captions.

        Args:
            captions: one or several; an unconditional family samples as many images.
            count: of samples, cycling through the captions; None: one a caption.
            seed: sample i depends on (seed, i) and its caption alone.
            guidance: the scale of guidance, 1 for none; None: as the checkpoint says.
            steps: of the sampler, for families that take many.
            sampler: `ddim`, `ddpm`, `dpm_solver` or `heun`, for the same families.
            label: a class, for models conditioned on classes.
            batch: samples at once, which changes memory and time alone.

        Returns:
            RGB images of `image_size` pixels a side.

        Raises:
            Unsupported: for what the family cannot do; the message says what to do instead.
            UsageError: for invalid values.
        """
        drawn = self.sample_tensor(
            captions,
            count=count,
            seed=seed,
            guidance=guidance,
            steps=steps,
            sampler=sampler,
            label=label,
            batch=batch,
        )
        return as_pictures(drawn)

    def sample_tensor(
        self,
        captions: str | Sequence[str] = "",
        *,
        count: int | None = None,
        seed: int = 0,
        guidance: float | None = None,
        steps: int | str | None = None,
        sampler: str | None = None,
        label: int | None = None,
        batch: int = BATCH,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """As `sample`, as 8-bit pixels (n, 3, h, w) on the CPU."""
        texts = [captions] if isinstance(captions, str) else [str(text) for text in captions]
        count = len(texts) if count is None else count
        _check_positive(captions=len(texts), count=count, batch=batch)
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(seed, guidance=guidance, steps=steps, sampler=sampler)
            return loaded.sample(
                texts, count=count, batch=batch, label=loaded.checked_label(label)
            )

    def _loaded(self, seed: int, **asked: Any) -> LoadedModel:
        """What draws in one call."""
        cfg = chosen(self._cfg, seed=seed, **asked)
        # A copy that shares the weights: another call keeps its own sampler.
        network = copy.copy(self._network)
        sampler = build.build_sampler(cfg)
        if sampler is not None:
            network.sampler = sampler
        return LoadedModel(
            cfg,
            network,
            self._checkpoint,
            self._tokenizer,
            scorers.build_guidance(cfg),
            self._device,
            devices.precision(cfg),
        )


def _check_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UsageError(f"{name}: {number} is too few", "give at least one")
