"""Models that score images: a CLIP, a classifier."""

from __future__ import annotations

from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from genzoo.core.errors import Unsupported
from genzoo.core.noise import Noise
from genzoo.core.types import Capabilities, Condition
from genzoo.models.base import GenerativeModel, identity
from genzoo.text.tokenizer import Tokenizer


class ScoringModel(GenerativeModel):
    """A model that scores images and samples none; it guides others and is measured itself.

    Attributes:
        use: what it is for, as a remedy where somebody asks it for samples.
        to_guide: the command line that trains one which guides.
    """

    capabilities = Capabilities(sampling=None)
    use: ClassVar[str]
    to_guide: ClassVar[str]

    def scorer(self, tokenizer: Tokenizer, *, name: str, sha256: str) -> Any:
        """What guides and scores: itself, or itself with a tokenizer as an `ImageTextModel`.

        Args:
            tokenizer: of its captions.
            name: of its checkpoint, for stamps.
            sha256: of its file.
        """
        return self

    def sample(
        self,
        cond: Condition,
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """Declined.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(f"{type(self).__name__} generates no images", self.use)
