"""What a loaded model cannot do, said before anything is computed."""

from __future__ import annotations

from collections.abc import Callable

from genzoo.core.errors import Unsupported, UsageError
from genzoo.core.types import Capabilities
from genzoo.models.base import GenerativeModel
from genzoo.models.scoring import ScoringModel
from genzoo.run.check import families


def check_able(
    network: GenerativeModel, name: str, what: str, able: Callable[[Capabilities], bool]
) -> None:
    """Refuse a call that the model's family cannot carry out.

    A single model may be able to do less than its family; then the network itself says why.

    Args:
        network: of the model.
        name: what people know the model by.
        what: it is asked for, after "... cannot".
        able: whether a family's capabilities suffice.

    Raises:
        Unsupported: with the families that can.
    """
    if not able(type(network).capabilities):
        raise Unsupported(
            f"{name} cannot {what}", f"load a model that can, of {', '.join(families(able))}"
        )


def check_samples(network: GenerativeModel, name: str) -> None:
    """Refuse samples of a model that only scores images, or only completes what others sample.

    Raises:
        Unsupported: with what the model is for.
    """
    if isinstance(network, ScoringModel):
        raise Unsupported(
            f"{name} scores images and generates no images",
            "let it guide another model: model.sample(..., scorer=this)",
        )
    if "low_res" in network.capabilities.conditions:
        raise Unsupported(
            f"{name} upsamples images and samples nothing without a small one",
            "hand it to the model of the small images: base.sample(..., upsampler=this)",
        )
    if "embedding" in network.capabilities.conditions:
        raise Unsupported(
            f"{name} was trained without a prior and samples nothing from captions alone",
            "give it an image: model.vary(image)",
        )


def check_reads(network: GenerativeModel, name: str, **captions: str | None) -> None:
    """Refuse captions for a model that reads none.

    Raises:
        UsageError: names the argument.
    """
    for key, caption in captions.items():
        if caption is not None and not network.reads_captions:
            raise UsageError(f"{name} reads no captions", f"leave {key}= away")
