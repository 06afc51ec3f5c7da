"""CMMD, the Vendi score, and a CLIP's embeddings as features."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

import genzoo.metrics.cmmd
from genzoo.core.errors import UsageError
from genzoo.metrics import clip_features
from genzoo.metrics.clip_features import CLIPExtractor, clip_extractor
from genzoo.metrics.cmmd import cmmd
from genzoo.metrics.features import FeatureExtractor
from genzoo.metrics.kinship import PART, kinship
from genzoo.metrics.real import RealFeatures
from genzoo.metrics.settings import MetricSettings
from genzoo.metrics.suite import evaluate
from genzoo.metrics.vendi import vendi_score

SETTINGS = MetricSettings(
    splits=2, subsets=4, subset_size=1000, neighbours=3, density_neighbours=5,
    neighbour_images=None, seed=2020,
)  # fmt: skip


def embeddings(n: int, *, seed: int, towards: float = 0.0, d: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator)
    x[:, 0] += 3 + towards
    return functional.normalize(x, dim=1)


def by_hand(real: torch.Tensor, fake: torch.Tensor, *, diagonal: bool) -> float:
    """1000 MMD^2 as the sums of the papers, in float64."""

    def mean(a: np.ndarray, b: np.ndarray, *, same: bool) -> float:
        k = np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / 200)
        if same and not diagonal:
            return float((k.sum() - np.trace(k)) / (len(a) * (len(a) - 1)))
        return float(k.mean())

    x, y = real.double().numpy(), fake.double().numpy()
    return 1000 * (mean(x, x, same=True) + mean(y, y, same=True) - 2 * mean(x, y, same=False))


@pytest.mark.parametrize(("m", "n"), [(2, 2), (40, 31), (100, 30)])
def test_cmmd_is_that_of_the_paper_and_of_its_authors_code(
    m: int, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genzoo.metrics.cmmd, "BLOCK", 16)
    real, fake = embeddings(m, seed=0), embeddings(n, seed=1, towards=0.5)
    found = cmmd(real, fake)
    assert found.value == pytest.approx(by_hand(real, fake, diagonal=False), abs=1e-4)
    assert found.biased == pytest.approx(by_hand(real, fake, diagonal=True), abs=1e-4)


def test_cmmd_of_equal_distributions_is_nothing_on_average_but_in_the_authors_code() -> None:
    found = [cmmd(embeddings(50, seed=k), embeddings(30, seed=1000 + k)) for k in range(60)]
    values = torch.tensor([one.value for one in found])
    assert abs(values.mean().item()) < 3 * values.std().item() / 60**0.5
    assert min(one.biased for one in found) > 0.1


def test_cmmds_standard_error_is_the_spread_over_samples() -> None:
    real = embeddings(400, seed=0)
    found = [cmmd(real, embeddings(60, seed=k, towards=1.0)) for k in range(1, 61)]
    spread = torch.tensor([one.value for one in found]).std().item()
    mean = sum(one.standard_error for one in found) / len(found)
    assert mean == pytest.approx(spread, rel=0.25)


def test_one_image_has_no_cmmd() -> None:
    with pytest.raises(UsageError, match="at least 2 of either"):
        cmmd(embeddings(5, seed=0), embeddings(1, seed=1))


@pytest.mark.parametrize("kinds", [1, 2, 7])
def test_vendi_counts_kinds_of_images(kinds: int) -> None:
    assert vendi_score(torch.eye(8)[:kinds].repeat(5, 1) * 3).value == pytest.approx(kinds)


@pytest.mark.parametrize(("n", "d"), [(5, 40), (40, 5), (20, 20)])
def test_vendi_is_the_same_by_the_images_matrix_and_by_the_features(n: int, d: int) -> None:
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(0))
    unit = (x / x.norm(dim=1, keepdim=True)).double().numpy()
    values = np.linalg.eigvalsh(unit @ unit.T / n)
    values = values[values > 1e-12]
    assert vendi_score(x).value == pytest.approx(
        math.exp(-(values * np.log(values)).sum()), rel=1e-5
    )
    assert 1 <= vendi_score(x).value <= min(n, d)


@pytest.mark.parametrize("n", [20, 60])
def test_vendis_standard_error_is_the_spread_over_samples(n: int) -> None:
    """Of fewer images than the 24 features, and of more."""
    found = [vendi_score(embeddings(n, seed=k)) for k in range(80)]
    spread = torch.tensor([one.value for one in found]).std().item()
    assert sum(one.standard_error for one in found) / 80 == pytest.approx(spread, rel=0.3)


def test_vendi_of_no_images_is_refused() -> None:
    with pytest.raises(UsageError, match="no diversity"):
        vendi_score(torch.empty(0, 4))


class Encoder(torch.nn.Module):
    """A CLIP for 8 pixels that sees three colours in four corners."""

    image_size = 8

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(
            torch.randn(12, 10, generator=torch.Generator().manual_seed(0))
        )

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape[2:] == (8, 8)
        assert images.abs().max() <= 1
        pooled = functional.adaptive_avg_pool2d(images, 2).flatten(1)
        return functional.normalize(pooled @ self.weight, dim=1)


def pictures(n: int, *, seed: int, shape: tuple[int, int] = (8, 8)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, *shape), dtype=torch.uint8, generator=generator)


def test_a_clip_is_an_extractor() -> None:
    own = clip_extractor(Encoder(), word="runs/clip")
    assert isinstance(own, FeatureExtractor)
    images = pictures(20, seed=0)
    expected = Encoder().encode_image(images / 127.5 - 1)
    assert torch.allclose(own(images).pooled, expected, atol=1e-6)
    assert (own.name, own.dim, own.input_size, own.published) == ("clip", 10, 8, False)
    assert own(images[:0]).pooled.shape == (0, 10)
    with pytest.raises(TypeError, match="uint8"):
        own(images.float())


def test_a_clip_sees_the_middle_square() -> None:
    own = clip_extractor(Encoder(), word="x")
    wide = pictures(3, seed=0, shape=(16, 40))
    assert torch.equal(own(wide).pooled, own(wide[..., 12:28]).pooled)


def test_only_openais_clip_for_336_pixels_gives_cmmd() -> None:
    fakes, reals = pictures(20, seed=1), pictures(30, seed=2)

    def measured(own: CLIPExtractor) -> dict[str, float]:
        real = RealFeatures(own(reals).pooled, "train", "print")
        found = evaluate(real, own(fakes), extractor=own, settings=SETTINGS)
        return {name: value.value for name, value in found.items()}

    other = measured(clip_extractor(Encoder(), word="open_clip/ViT-L-14-336/mine.pt"))
    published = measured(clip_extractor(Encoder(), word=clip_features.PUBLISHED_WORD))
    assert published["cmmd"] == other["cmmd/clip"]
    assert "vendi/clip_vit_l_14_336" in published
    assert "cmmd" not in other


def test_the_clip_of_a_model_that_it_measures_is_its_kin() -> None:
    encoder = Encoder()
    own = clip_extractor(encoder, word="x")
    assert PART in (kinship(own, model=torch.nn.ModuleList([encoder]), guidance=None) or "")
    assert kinship(own, model=torch.nn.Linear(2, 2), guidance=None) is None
