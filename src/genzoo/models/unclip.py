"""unCLIP (Ramesh et al., DALL-E 2, arXiv 2204.06125): from a caption by way of CLIP's embedding.

A prior draws the CLIP embedding of an image that the caption would fit, a decoder the image with
that embedding: GLIDE's network, told the embedding besides the caption. CLIP itself is trained
beforehand and stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genzoo.contrastive.loss import ranks, same_captions
from genzoo.core.errors import Unsupported, UsageError
from genzoo.core.noise import Noise
from genzoo.core.precision import exact
from genzoo.core.types import Batch, Capabilities, Condition, Losses
from genzoo.diffusion import guide
from genzoo.diffusion.guidance import faded
from genzoo.diffusion.predict import Prediction
from genzoo.diffusion.prior import PriorNetwork, Said
from genzoo.diffusion.process import Process
from genzoo.diffusion.sampling import Sampling
from genzoo.diffusion.schedule import Schedule
from genzoo.models.base import End, GenerativeModel, Objective, identity, interpolate
from genzoo.models.clip import CLIP, unit
from genzoo.models.diffusion import Diffusion, captionless

Stage = Literal["both", "prior", "decoder"]
RECALL = (1, 5, 10)
INVERSION = 50  # steps of the way from an image to its noise, and back


def trained_parts(stage: str, before: Sequence[str]) -> frozenset[str]:
    """Which of prior and decoder are trained, now or before."""
    return frozenset(before) | ({"prior", "decoder"} if stage == "both" else {stage})


class Prior(nn.Module):
    """p(CLIP embedding of an image | caption), by diffusion.

    Args:
        network: arguments of `PriorNetwork` beside those that CLIP decides.
        process: what it is trained on.
        clip: whose embeddings they are.
        context: tokens a caption.
        drop: share of captions left out in training (arXiv 2204.06125, section 2.2).
        steps: of drawing.
        scale: of its classifier-free guidance; 1 is off.
        draws: made for each caption; the one that fits the caption best is kept.
    """

    def __init__(
        self,
        *,
        network: Mapping[str, Any],
        process: Process,
        clip: CLIP,
        context: int,
        drop: float,
        steps: int,
        scale: float,
        draws: int,
    ) -> None:
        super().__init__()
        self.process, self.drop, self.scale, self.draws = process, drop, scale, draws
        self.sampler = Sampling("ddpm", steps=steps, threshold="none")
        token = clip.text.token_embedding.weight.shape[1]
        self.network = PriorNetwork(
            features=clip.features, token=token, context=context, **network
        )

    def losses(self, said: Said, vectors: Float[Tensor, "b k"], *, noise: Noise) -> Losses:
        """The error of the embedding without noise."""
        kept = (noise.child("drop").uniform(1) >= self.drop).to(vectors.dtype)
        told = replace(said, kept=kept)
        x_0 = vectors[..., None, None]
        return self.process.losses(lambda z, times: self.network(z, times, told), x_0, noise=noise)

    def draw(self, said: Said, *, noise: Noise) -> Float[Tensor, "b k"]:
        """Embeddings of size 1 a number, the best of `draws` for each caption."""
        found = torch.stack(
            [self._draw(said, noise=noise.child("draw", k)) for k in range(self.draws)]
        )
        fit = (found * said.embedding).sum(dim=2)  # cosines, as all have the same length
        return found[fit.argmax(dim=0), torch.arange(len(noise), device=found.device)]

    def _draw(self, said: Said, *, noise: Noise) -> Float[Tensor, "b k"]:
        schedule = self.process.schedule(self.sampler.steps)
        denoise = guide.classifier_free(
            _PriorDenoiser(self.network, self.process, schedule, said),
            scale=self.scale,
            schedule=schedule,
        )
        features = said.embedding.shape[1]
        drawn = self.sampler.draw(
            denoise,
            start=noise.child("start").normal(features, 1, 1),
            schedule=schedule,
            noise=noise.child("steps"),
        )
        return unit(drawn.flatten(1)) * math.sqrt(features)


@dataclass(frozen=True)
class _PriorDenoiser:
    """The prior's network, as samplers ask it."""

    network: Callable[[Tensor, Tensor, Said], Tensor]
    process: Process
    schedule: Schedule
    said: Said

    def __call__(self, x_t: Tensor, step: int) -> Prediction:
        return self._ask(x_t, step, self.said)

    def both(self, x_t: Tensor, step: int) -> tuple[Prediction, Prediction]:
        """With the captions and without, by one evaluation."""
        said = self.said.then(self.said.without())
        together = self._ask(x_t.repeat(2, 1, 1, 1), step, said)
        return together[: len(x_t)], together[len(x_t) :]

    def _ask(self, x_t: Tensor, step: int, said: Said) -> Prediction:
        def network(x: Tensor, times: Tensor) -> Tensor:
            return self.network(x, times, said)

        return self.process.predict(network, x_t, self.schedule, step)


class UnCLIP(GenerativeModel):
    """CLIP, prior and decoder.

    Args:
        image_size: height and width of the images.
        stage: what is trained: the prior, the decoder, or both at once.
        before: which of them came trained already. Without a prior, samples begin with the
            embeddings of real images; without a decoder there are none.
        clip: arguments of `CLIP`.
        prior: arguments of `Prior`.
        decoder: arguments of `Diffusion`; also `size`, the name of what they come from.

    Attributes:
        known: CLIP's vectors of the data's images by their indices, where they were made
            beforehand; None to make them again for every batch.
    """

    known: Tensor | None

    capabilities = Capabilities(
        sampling="denoising an image's CLIP embedding, then the image",
        conditions=frozenset({"text"}),
        samplers=True,
        guidance=frozenset({"classifier_free", "classifier"}),
        vary=True,
        between=frozenset({"images", "captions"}),
        textdiff=True,
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
                "model.prior.process.learned_variance=true asks a prior for what it does not say",
                "leave it false",
            )

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
        self.trained = trained_parts(stage, before)
        self.clip = CLIP(**clip).requires_grad_(False)
        context = len(self.clip.text.position)
        self.prior = Prior(clip=self.clip, context=context, **prior)
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
                self.capabilities, sampling=None, vary=False, between=frozenset(), textdiff=False
            )
        elif "prior" not in self.trained:
            self.capabilities = replace(
                self.capabilities,
                sampling="denoising, given a real image's CLIP embedding",
                conditions=frozenset({"text", "embedding"}),
                between=frozenset({"images"}),
            )

    def train(self, mode: bool = True) -> UnCLIP:
        """CLIP stays as it is."""
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
            said = self._said(batch.condition)
            found["prior"] = self.prior.losses(said, scaled, noise=noise.child("prior"))
        if self.stage != "prior":
            cond = replace(batch.condition, embedding=vectors)
            found["decoder"] = self.decoder.losses_given(cond, batch, noise=noise.child("decoder"))
        parts = {
            f"{stage}/{name}": value
            for stage, losses in found.items()
            for name, value in losses.parts.items()
        }
        return Losses(torch.stack([losses.total for losses in found.values()]).sum(0), parts)

    @torch.no_grad()
    def embed(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """CLIP's unit vectors of images."""
        with exact(images.device):
            return self.clip.of_images(images)

    def with_embedding(self, cond: Condition, images: Float[Tensor, "b c h w"]) -> Condition:
        return replace(cond, embedding=self.embed(images))

    def imagine(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b k"]:
        """Unit vectors that the prior draws for captions.

        Raises:
            Unsupported: for a decoder that was trained without a prior.
        """
        if "prior" not in self.trained:
            raise Unsupported(
                "this decoder was trained without a prior, and draws from images alone",
                "use task=vary image=..., or train a prior: model.stage=prior clip=<this>",
            )
        drawn = self.prior.draw(self._said(cond), noise=noise.child("prior"))
        return unit(drawn)

    def sample(
        self,
        cond: Condition,
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """Images from the embeddings that the prior draws, or from those that are given.

        Raises:
            Unsupported: for a prior alone, or a decoder alone without embeddings.
        """
        self._check_decoder()
        if cond.embedding is None:
            cond = replace(cond, embedding=self.imagine(cond, noise=noise))
        self.decoder.sampler = self.sampler
        return self.decoder.draw(cond, shape, noise=noise.child("decoder"), guidance=guidance)

    def vary(
        self,
        images: Float[Tensor, "b c h w"],
        cond: Condition,
        *,
        strength: float,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """Images of the same embedding, from other noise (arXiv 2204.06125, section 3.1).

        The noise that leads to the image is mixed with fresh noise, their variances' shares
        adding up to 1, and `strength` is DDIM's eta and the share of the guidance.
        """
        self._check_decoder()
        cond = self.with_embedding(cond, images)
        own = self.decoder.inverted(cond, images, steps=INVERSION)
        fresh = noise.child("start").normal(*images.shape[1:])
        start = math.sqrt(1 - strength**2) * own + strength * fresh
        return self._redrawn(
            cond, start, eta=strength, noise=noise, guidance=faded(guidance, strength)
        )

    def between(
        self,
        start: End,
        end: End,
        shape: tuple[int, int, int],
        steps: int,
        *,
        guidance: Any = identity,
    ) -> Float[Tensor, "b steps c h w"]:
        """Embeddings and noise both move along spheres (arXiv 2204.06125, section 3.2).

        What the decoder reads of the captions goes straight from one to the other. Nothing guides
        between images.
        """
        self._check_decoder()
        if start.images is not None:
            guidance = identity
        conds, noises = zip(*(self._place(place, shape) for place in (start, end)), strict=True)
        return self._along(
            interpolate(conds[0].embedding, conds[1].embedding, steps, spherical=True),
            interpolate(noises[0].flatten(1), noises[1].flatten(1), steps, spherical=True),
            conds,
            shape,
            noise=start.noise,
            guidance=guidance,
        )

    def textdiff(
        self,
        images: Float[Tensor, "b c h w"],
        source: Condition,
        target: Condition,
        steps: int,
        *,
        strength: float,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b steps c h w"]:
        """The embedding turned towards the captions' difference (arXiv 2204.06125, section 3.3).

        By half of the angle to it at full strength, as beyond that little is left of the image.
        The noise that leads to the image is kept, and the decoder reads no caption. Guidance grows
        along the way.
        """
        self._check_decoder()
        cond = self.with_embedding(captionless(source), images)
        own = self.decoder.inverted(cond, images, steps=INVERSION).flatten(1)
        said = [self.clip.of_captions(c.tokens, c.token_mask) for c in (source, target)]
        towards = unit(said[1] - said[0])
        assert cond.embedding is not None
        return self._along(
            interpolate(cond.embedding, towards, steps, spherical=True, until=strength / 2),
            own[:, None].expand(-1, steps, -1),
            (cond, captionless(target)),
            (images.shape[1], images.shape[2], images.shape[3]),
            noise=noise,
            guidance=guidance,
            growing=strength,
        )

    def _place(
        self, place: End, shape: tuple[int, int, int]
    ) -> tuple[Condition, Float[Tensor, "b c h w"]]:
        """The condition with its embedding, and the noise, of one end of a way."""
        if place.images is not None:
            cond = self.with_embedding(place.cond, place.images)
            return cond, self.decoder.inverted(cond, place.images, steps=INVERSION)
        imagined = self.imagine(place.cond, noise=place.noise)
        start = place.noise.child("decoder").child("start").normal(*shape)
        return replace(place.cond, embedding=imagined), start

    def _along(
        self,
        embeddings: Float[Tensor, "b steps k"],
        starts: Float[Tensor, "b steps d"],
        conds: tuple[Condition, Condition],
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any,
        growing: float | None = None,
    ) -> Float[Tensor, "b steps c h w"]:
        """The images on every way, one step of all ways after the other.

        Guidance is all there from the beginning, or grows from none to the share `growing`.
        """
        count = embeddings.shape[1]
        found = []
        for k in range(count):
            vectors, share = unit(embeddings[:, k]), k / max(count - 1, 1)
            found.append(
                self._redrawn(
                    replace(conds[0], embedding=vectors),
                    starts[:, k].unflatten(1, shape),
                    towards=(replace(conds[1], embedding=vectors), share),
                    noise=noise,
                    guidance=guidance if growing is None else faded(guidance, share * growing),
                )
            )
        return torch.stack(found, dim=1)

    def _redrawn(
        self,
        cond: Condition,
        start: Float[Tensor, "b c h w"],
        *,
        noise: Noise,
        guidance: Any,
        eta: float = 0.0,
        towards: tuple[Condition, float] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """What DDIM draws from this noise, in as many steps as lead back to it."""
        self.decoder.sampler = replace(self.retracing, eta=eta)
        shape = (start.shape[1], start.shape[2], start.shape[3])
        return self.decoder.draw(
            cond, shape, noise=noise, guidance=guidance, start=start, towards=towards
        )

    @property
    def retracing(self) -> Sampling:
        confined = self.sampler or Sampling("ddim", steps=INVERSION)
        return replace(confined, method="ddim", steps=INVERSION, eta=0.0, temperature=1.0)

    def _check_decoder(self) -> None:
        if "decoder" not in self.trained:
            raise Unsupported(
                "a prior alone draws embeddings, not images",
                "train a decoder on it: model=unclip model.stage=decoder clip=<this one>",
            )

    def recognised(self, batches: Iterable[tuple[Batch, Noise]]) -> dict[str, Float[Tensor, " n"]]:
        """Of a prior alone: whether the embedding it draws is nearest to that of the own image.

        Among the k nearest of all; images of one caption count as right for each other.
        """
        if "decoder" in self.trained:
            return {}
        drawn, real, tokens = [], [], []
        for batch, noise in batches:
            drawn.append(self.imagine(batch.condition, noise=noise))
            real.append(self.embed(batch.image))
            tokens.append(batch.tokens)
        with exact(real[0].device):
            similarity = torch.cat(drawn) @ torch.cat(real).T
        place = ranks(similarity, same_captions(torch.cat(tokens)))
        return {f"prior_recall_at_{k}": (place < k).float() for k in RECALL}

    @torch.no_grad()
    def _said(self, cond: Condition) -> Said:
        """CLIP's view of captions."""
        text = self.clip.text
        scale = math.sqrt(self.clip.features)
        return Said(
            text.tokens(cond.tokens),
            cond.token_mask,
            scale * self.clip.of_captions(cond.tokens, cond.token_mask),
            torch.ones(len(cond), 1, device=cond.tokens.device),
        )

    def _vectors(self, batch: Batch) -> Float[Tensor, "b k"]:
        """CLIP's unit vectors of a batch's images, looked up where they are known."""
        if self.known is None:
            return self.embed(batch.image)
        device = batch.image.device
        if self.known.device != device:  # once: reading indices off a device would wait for it
            self.known = self.known.to(device)
        return self.known[batch.index.to(device)].float()
