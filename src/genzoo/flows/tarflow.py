"""TarFlow: autoregressive maps of patches in alternating directions.

Zhai et al., arXiv 2412.06329. As in STARFlow (arXiv 2506.06276), section 3.2, the map next to the
noise may have more layers than the others. The first map is linear in the pixels of a patch,
initially their principal components: an autoregressive map alone cannot model the dependence of
the numbers of one patch, above all of the colours of a grey image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.flows.autoregressive import Autoregressive
from genzoo.flows.linear import Whitening
from genzoo.flows.transform import Composition, Features, Squeeze, Transform


class TarFlow(Transform):
    """The flow of images to flat latents: (b, c, h, w) -> (b, z), z = c h w.

    Args:
        image_size: height and width, divisible by `patch`.
        patch: pixels along the side of a token.
        layers: of the Transformer of each autoregressive map, from the image to the noise.
        width: of the Transformers.
        heads: of their attention.
        expansion: hidden width of their perceptrons, in multiples of `width`.
        couplings: affine couplings inside each token, after each autoregressive map.
        hidden: width of the couplings' networks.
        features: of the condition.
        bound: of the logarithm of every scale.
        channels: of the images.
    """

    @classmethod
    def size_unit(cls, settings: Mapping[str, Any]) -> int:
        """The number that divides height and width of the images, given its arguments."""
        return int(settings["patch"])

    def __init__(
        self,
        *,
        image_size: int,
        patch: int,
        layers: Sequence[int],
        width: int,
        heads: int,
        expansion: int,
        couplings: int,
        hidden: int,
        features: int,
        bound: float = 4.0,
        channels: int = 3,
    ) -> None:
        super().__init__()
        channels, size = channels * patch**2, image_size // patch
        self.shape = (channels, size, size)
        self.maps = Composition(
            [
                Squeeze(patch),
                Whitening(channels),
                *(
                    Autoregressive(
                        channels,
                        size=size,
                        reverse=k % 2 == 1,
                        couplings=couplings,
                        hidden=hidden,
                        bound=bound,
                        transformer={
                            "width": width,
                            "layers": count,
                            "heads": heads,
                            "expansion": expansion,
                            "features": features,
                        },
                    )
                    for k, count in enumerate(layers)
                ),
            ]
        )

    def forward(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> tuple[Float[Tensor, "b z"], Float[Tensor, " b"]]:
        z, log_det = self.maps(x, cond)
        return z.flatten(1), log_det

    def inverse(self, z: Float[Tensor, "b z"], cond: Features = None) -> Float[Tensor, "b c h w"]:
        return self.maps.inverse(z.unflatten(1, self.shape), cond)

    @torch.no_grad()
    def data_dependent_init(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b z"]:
        return self.maps.data_dependent_init(x, cond).flatten(1)
