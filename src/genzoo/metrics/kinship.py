"""Whether a scorer is a part of what it scores, has guided it, or was trained on what is scored.

Such a number says less than it seems to: unCLIP samples towards embeddings of its own CLIP, and
samples that a CLIP guided are those which it likes. Weights are compared tensor by tensor, by
their content; a scorer that was fine-tuned in every tensor is not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass

from torch import Tensor, nn

from genzoo.core.digest import of_tensor, of_weights

PART = "scored by a part of itself"
GUIDE = "scored by what guided it"


@dataclass(frozen=True)
class TrainedOn:
    """What a scorer was trained on: the split `train` of some data.

    Attributes:
        name: of the data set.
        fingerprint: of its content; None where it is not known.
    """

    name: str
    fingerprint: str | None


def kinship(scorer: object, *, model: object, guidance: object) -> str | None:
    """What a scorer is to the samples that it scores, in words; None for a stranger.

    Args:
        scorer: a network, or a dataclass that holds some, such as a feature extractor.
        model: that samples.
        guidance: what guided it, if anything.
    """
    off = getattr(guidance, "scale", None) == 0
    reasons = ((PART, model), *(() if off else ((GUIDE, guidance),)))
    weights = _weights(scorer)
    found = []
    for reason, other in reasons:
        shared = _shared(weights, _weights(other))
        if shared:
            found.append(f"{reason} ({shared} of the scorer's {len(weights)} tensors)")
    return "; ".join(found) or None


def familiarity(
    trained: TrainedOn | None, *, name: str, fingerprint: str, caption_split: str
) -> str | None:
    """What a scorer has seen of the images and captions that are measured; None if unknown.

    Args:
        trained: what it was trained on.
        name: of the data that are measured.
        fingerprint: of their content.
        caption_split: whose captions are sampled for.
    """
    if trained is None:
        return None
    if trained.fingerprint == fingerprint:
        seen = "with these captions" if caption_split == "train" else "without these captions"
        return f"the train split of the same data, {seen}"
    if trained.name == name:
        return f"other content or splits of {name}, perhaps with these captions"
    return f"other data ({trained.name})"


def tensor_hashes(thing: object) -> list[str]:
    """Of the parameters of the networks within something, without constant ones, as all have."""
    return [of_tensor(own) for own in _weights(thing) if bool((own != own.flatten()[:1]).any())]


def kinship_by_hashes(
    scorer: object, *, model: Sequence[str], guidance: Sequence[str]
) -> str | None:
    """As `kinship`, where of what was measured only `tensor_hashes` are known."""
    own = tensor_hashes(scorer)
    found = []
    for reason, others in ((PART, set(model)), (GUIDE, set(guidance))):
        shared = sum(each in others for each in own)
        if shared:
            found.append(f"{reason} ({shared} of the scorer's tensors)")
    return "; ".join(found) or None


def weights_hash(scorer: object) -> str:
    """Of the weights of a scorer, whatever file they were read from; arguments as of `kinship`."""
    weights = (network.named_parameters() for network in networks(scorer))
    return of_weights({f"{k} {name}": w for k, own in enumerate(weights) for name, w in own})


def networks(thing: object) -> Iterator[nn.Module]:
    """The networks within something."""
    if isinstance(thing, nn.Module):
        yield thing
    elif is_dataclass(thing) and not isinstance(thing, type):
        for field in fields(thing):
            yield from networks(getattr(thing, field.name))


def _weights(thing: object) -> list[Tensor]:
    """The parameters of the networks within something. Buffers may follow from a formula."""
    return [weight for network in networks(thing) for weight in network.parameters()]


def _shared(weights: Sequence[Tensor], others: Sequence[Tensor]) -> int:
    """How many of `weights` are among the others; 0 if only constant ones are, as all have."""
    shapes = {tuple(other.shape) for other in others} & {tuple(own.shape) for own in weights}
    known = {of_tensor(other) for other in others if tuple(other.shape) in shapes}
    same = [own for own in weights if tuple(own.shape) in shapes and of_tensor(own) in known]
    return len(same) if any(own.unique().numel() > 1 for own in same) else 0
