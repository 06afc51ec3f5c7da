"""unCLIP (Ramesh et al., DALL-E 2, arXiv 2204.06125): caption, CLIP embedding, image.

A prior samples the CLIP embedding of an image given the caption; a decoder, GLIDE's network,
samples the image given both. CLIP itself is trained beforehand and is frozen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genzoo.contrastive.loss import positive_captions, retrieval_ranks
from genzoo.core.errors import Unsupported, UsageError
from genzoo.core.noise import Noise
from genzoo.core.precision import exact
from genzoo.core.types import Batch, Capabilities, Condition, Losses
from genzoo.diffusion.prior import Prior
from genzoo.diffusion.prior_network import PriorCondition
from genzoo.models.base import Objective, identity
from genzoo.models.clip import CLIP, unit
from genzoo.models.diffusion import Diffusion
from genzoo.models.frozen import FrozenEncoder, HasFrozenEncoder
from genzoo.models.manipulation import Manipulation
from genzoo.models.parent import HasParent, Parent, below

Stage = Literal["both", "prior", "decoder"]
RECALL = (1, 5, 10)


def trained_stages(stage: str, before: Sequence[str]) -> frozenset[str]:
    """Which of prior and decoder are trained, in this run or before it."""
    return frozenset(before) | ({"prior", "decoder"} if stage == "both" else {stage})


class UnCLIP(Manipulation, HasParent, HasFrozenEncoder):
    """CLIP, prior and decoder.

    Args:
        image_size: height and width of the images.
        stage: what is trained: the prior, the decoder, or both at once.
        before: which of them are pretrained. Without a prior, samples are conditioned on the
            embeddings of real images; without a decoder there are no samples.
        clip: arguments of `CLIP`.
        prior: arguments of `Prior`.
        decoder: arguments of `Diffusion`; also `size`, the name of what they come from.
    """

    parent = Parent(
        key="clip",
        noun="a CLIP",
        families=("clip", "unclip"),
        remedy="name a model=clip, `openai` for GLIDE's CLIP, or a model=unclip whose parts are "
        "taken over",
    )

    capabilities = Capabilities(
        sampling="denoising an image's CLIP embedding, then the image",
        conditions=frozenset({"text"}),
        samplers=True,
        guidance=frozenset({"classifier_free", "classifier"}),
        variations=True,
        interpolate=frozenset({"images", "captions"}),
        text_diff=True,
    )

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        stages = get_args(Stage)
        if settings["stage"] not in stages:
            raise UsageError(
                f"there is no model.stage={settings['stage']} of model={settings['name']}",
                f"use one of {', '.join(stages)}",
            )

        if settings["prior"]["process"].get("learned_variance"):
            raise UsageError(
                "model.prior.process.learned_variance=true is not available for a prior",
                "leave it false",
            )

    @classmethod
    def inherited_settings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The shape of CLIP, and of the parts that were trained with another unCLIP."""
        grown = settings["name"] == "unclip"
        clip = settings["clip"] if grown else settings
        found: dict[str, Any] = {
            "clip": {key: clip[key] for key in clip if key not in ("name", "_target_")}
        }
        if grown:
            found["before"] = sorted(trained_stages(settings["stage"], settings["before"]))
            found |= {part: settings[part] for part in found["before"]}
        return found

    @classmethod
    def inherited_weights(
        cls, settings: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> dict[str, dict[str, Tensor]]:
        """CLIP's, and those of the parts that were trained with another unCLIP."""
        if settings["name"] == "clip":
            return {"clip": dict(weights)}
        trained = trained_stages(settings["stage"], settings["before"])
        return {part: below(weights, part) for part in ("clip", *trained)}

    @classmethod
    def sampling_words(cls, settings: Mapping[str, Any]) -> str:
        """The sampling of the prior, which has its own guidance."""
        prior = settings["prior"]
        return f"prior {prior['scale']}, {prior['steps']} steps, best of {prior['draws']}"

    @classmethod
    def size_unit(cls, settings: Mapping[str, Any]) -> int:
        return Diffusion.size_unit(settings["decoder"])  # CLIP sees images of a size of its own

    def __init__(
        self,
        *,
        image_size: int,
        stage: Stage,
        before: Sequence[str],
        clip: Mapping[str, Any],
        prior: Mapping[str, Any],
        decoder: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.stage = stage
        self.trained = trained_stages(stage, before)
        self.clip = CLIP(**clip).requires_grad_(False)
        self.prior = Prior(
            features=self.clip.features,
            token=self.clip.text.token_embedding.weight.shape[1],
            context=len(self.clip.text.position),
            **prior,
        )
        self.decoder = Diffusion(
            image_size=image_size,
            embedding=self.clip.features,
            likelihood_steps=0,
            **{key: value for key, value in decoder.items() if key != "size"},
        )
        self.known = None
        idle = {"prior": self.decoder, "decoder": self.prior}.get(stage)
        if idle is not None:
            idle.requires_grad_(False)
        if "decoder" not in self.trained:
            self.capabilities = replace(
                self.capabilities,
                sampling=None,
                variations=False,
                interpolate=frozenset(),
                text_diff=False,
            )
        elif "prior" not in self.trained:
            self.capabilities = replace(
                self.capabilities,
                sampling="denoising, given a real image's CLIP embedding",
                conditions=frozenset({"text", "embedding"}),
                interpolate=frozenset({"images"}),
            )

    def train(self, mode: bool = True) -> UnCLIP:
        """CLIP stays in evaluation mode."""
        super().train(mode)
        self.clip.eval()
        return self

    def objectives(self) -> dict[str, Objective]:
        learning = tuple(p for p in self.parameters() if p.requires_grad)
        return {"model": Objective(self.losses, learning)}

    def compilable(self) -> list[nn.Module]:
        return [*self.decoder.compilable(), self.prior.network]

    def losses(self, batch: Batch, *, noise: Noise) -> Losses:
        vectors = self._vectors(batch)
        found: dict[str, Losses] = {}
        if self.stage != "decoder":
            scaled = vectors * math.sqrt(self.clip.features)
            condition = self._prior_condition(batch.condition)
            found["prior"] = self.prior.losses(condition, scaled, noise=noise.child("prior"))
        if self.stage != "prior":
            cond = replace(batch.condition, embedding=vectors)
            found["decoder"] = self.decoder.losses_given(cond, batch, noise=noise.child("decoder"))
        parts = {
            f"{stage}/{name}": value
            for stage, losses in found.items()
            for name, value in losses.parts.items()
        }
        return Losses(torch.stack([losses.total for losses in found.values()]).sum(0), parts)

    @property
    def frozen_encoder(self) -> FrozenEncoder:
        return FrozenEncoder(self.clip, "clip", self.clip.encode_image)

    @torch.no_grad()
    def embed(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """CLIP's unit vectors of images."""
        with exact(images.device):
            return self.clip.encode_image(images)

    def with_embedding(self, cond: Condition, images: Float[Tensor, "b c h w"]) -> Condition:
        return replace(cond, embedding=self.embed(images))

    def sample_embedding(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b k"]:
        """Unit vectors that the prior samples for captions.

        Raises:
            Unsupported: for a decoder that was trained without a prior.
        """
        if "prior" not in self.trained:
            raise Unsupported(
                "this decoder was trained without a prior, and samples from images alone",
                "use task=vary image=..., or train a prior: model.stage=prior clip=<this>",
            )
        sampled = self.prior.sample(self._prior_condition(cond), noise=noise.child("prior"))
        return unit(sampled)

    def sample(
        self,
        cond: Condition,
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """Images from sampled embeddings, or from `cond.embedding` if there is one.

        Raises:
            Unsupported: for a prior without decoder, or a decoder without prior or embeddings.
        """
        self.check_decoder()
        if cond.embedding is None:
            cond = replace(cond, embedding=self.sample_embedding(cond, noise=noise))
        return self.decoder.sample_from(
            cond,
            shape,
            noise=noise.child("decoder"),
            guidance=guidance,
            sampler=self.sampler,
        )

    def check_decoder(self) -> None:
        """Refuse to sample images without a decoder.

        Raises:
            Unsupported: with how to train a decoder.
        """
        if "decoder" not in self.trained:
            raise Unsupported(
                "a prior alone samples embeddings, not images",
                "train a decoder on it: model=unclip model.stage=decoder clip=<this one>",
            )

    def scoring_metrics(
        self, batches: Iterable[tuple[Batch, Noise]]
    ) -> dict[str, Float[Tensor, " n"]]:
        """Of a prior alone: recall of an image by the embedding sampled for its first caption.

        Among the k nearest of all; images with the same caption among theirs count as correct.
        """
        if "decoder" in self.trained:
            return {}
        sampled, real, tokens, rows, images = [], [], [], [], 0
        for batch, noise in batches:
            sampled.append(self.sample_embedding(batch.condition, noise=noise))
            real.append(self.embed(batch.image))
            tokens.append(batch.all_captions.tokens)
            rows.append(batch.all_captions.row + images)
            images += len(batch)
        with exact(real[0].device):
            similarity = torch.cat(sampled) @ torch.cat(real).T
        row = torch.cat(rows)
        first = torch.searchsorted(row, torch.arange(images, device=row.device))
        right = positive_captions(torch.cat(tokens), row, images=images)[:, first].T
        place = retrieval_ranks(similarity, right)
        return {f"prior_recall_at_{k}": (place < k).float() for k in RECALL}

    @torch.no_grad()
    def _prior_condition(self, cond: Condition) -> PriorCondition:
        """CLIP's features of captions."""
        text = self.clip.text
        scale = math.sqrt(self.clip.features)
        return PriorCondition(
            text.tokens(cond.tokens),
            cond.token_mask,
            scale * self.clip.encode_text(cond.tokens, cond.token_mask),
            torch.ones(len(cond), 1, device=cond.tokens.device),
        )

    def _vectors(self, batch: Batch) -> Float[Tensor, "b k"]:
        """CLIP's unit vectors of a batch's images, from the cache if there is one."""
        if self.known is None:
            return self.embed(batch.image)
        device = batch.image.device
        if self.known.device != device:  # once: reading indices off a device would wait for it
            self.known = self.known.to(device)
        return self.known[batch.index.to(device)].float()
