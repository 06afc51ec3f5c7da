"""The numbers of torch-fidelity, from the same images and the same random Inception weights."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from genzoo.metrics.features import Features, NetworkExtractor
from genzoo.metrics.frechet import frechet_distance
from genzoo.metrics.inception import inception_extractor, random_state
from genzoo.metrics.inception_score import inception_score
from genzoo.metrics.kid import kernel_distance
from genzoo.metrics.prdc import neighbour_metrics
from genzoo.metrics.resize import resize_tf1
from genzoo.metrics.stats import feature_statistics

pytestmark = pytest.mark.parity

SIZES = (32, 64, 299)
REAL, FAKE, SEED = 9, 8, 2020


@dataclass(frozen=True)
class Pair:
    """Features of the same images, taken by both."""

    ours_real: Features
    ours_fake: Features
    theirs_real: dict[str, torch.Tensor]
    theirs_fake: dict[str, torch.Tensor]


def pictures(count: int, size: int, *, seed: int, contrast: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    grain = torch.rand(count, 3, size, size, generator=generator) * 0.2
    return ((smooth - 0.5) * contrast + grain + 0.4).clamp(0, 1).mul(255).round().byte()


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return random_state(0)


@pytest.fixture(scope="module")
def ours(state: dict[str, torch.Tensor]) -> NetworkExtractor:
    return inception_extractor(
        state, name="inception_random", sha256="", published=False, device=torch.device("cpu")
    )


@pytest.fixture(scope="module")
def theirs(state: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory):
    from torch_fidelity.utils import create_feature_extractor

    path: Path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(state, path)
    return create_feature_extractor(
        "inception-v3-compat",
        ["2048", "logits_unbiased"],
        cuda=False,
        verbose=False,
        feature_extractor_weights_path=str(path),
    )


@pytest.fixture(scope="module", params=SIZES)
def pair(request: pytest.FixtureRequest, ours: NetworkExtractor, theirs) -> Pair:
    real = pictures(REAL, request.param, seed=1, contrast=1.0)
    fake = pictures(FAKE, request.param, seed=2, contrast=0.4)
    with torch.no_grad():
        taken = [theirs.convert_features_tuple_to_dict(theirs(x)) for x in (real, fake)]
    return Pair(ours(real), ours(fake), *taken)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).double().norm() / expected.double().norm()).item()


def test_features(pair: Pair) -> None:
    for mine, other in ((pair.ours_real, pair.theirs_real), (pair.ours_fake, pair.theirs_fake)):
        assert relative_error(mine.pooled, other["2048"]) < 2e-5  # 94 float32 layers
        assert mine.logits is not None
        assert relative_error(mine.logits, other["logits_unbiased"]) < 2e-5


def test_the_images_differ_enough_for_the_comparison_to_mean_something(pair: Pair) -> None:
    assert pair.ours_real.pooled.std(0).mean() > 0.05 * pair.ours_real.pooled.mean()


def test_inception_score(pair: Pair) -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    expected = isc_features_to_metric(pair.theirs_fake["logits_unbiased"], splits=4)
    assert pair.ours_fake.logits is not None
    mean, spread = inception_score(pair.ours_fake.logits, splits=4, seed=SEED)
    assert mean == pytest.approx(expected["inception_score_mean"], rel=1e-5)
    assert spread == pytest.approx(expected["inception_score_std"], rel=1e-3)


@pytest.mark.parametrize("size", [5, FAKE])
def test_kernel_distance(pair: Pair, size: int) -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    expected = kid_features_to_metric(
        pair.theirs_fake["2048"],
        pair.theirs_real["2048"],
        kid_subsets=5,
        kid_subset_size=size,
        verbose=False,
    )
    mean, spread = kernel_distance(
        pair.ours_real.pooled, pair.ours_fake.pooled, subsets=5, subset_size=size, seed=SEED
    )
    assert mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-5)
    assert spread == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-3)


def test_precision_and_recall(pair: Pair) -> None:
    from torch_fidelity.metric_prc import prc_features_to_metric

    expected = prc_features_to_metric(
        pair.theirs_fake["2048"], pair.theirs_real["2048"], prc_neighborhood=3, verbose=False
    )
    found = neighbour_metrics(
        pair.ours_real.pooled, pair.ours_fake.pooled, neighbours=3, density_neighbours=5
    )
    assert found.precision == pytest.approx(expected["precision"], rel=1e-5)
    assert found.recall == pytest.approx(expected["recall"], rel=1e-5)


# torch-fidelity takes the eigenvalues of a product without symmetry: 2048 of them cost it some
# ten seconds. The first 192 features go through the same code in a fraction of one.
@pytest.mark.parametrize("width", [192, pytest.param(2048, marks=pytest.mark.slow)])
def test_frechet_distance(pair: Pair, width: int) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    moments = [
        fid_features_to_statistics(taken["2048"][:, :width])
        for taken in (pair.theirs_real, pair.theirs_fake)
    ]
    expected = fid_statistics_to_metric(*moments, verbose=False)["frechet_inception_distance"]
    found = frechet_distance(
        feature_statistics(pair.ours_real.pooled[:, :width]),
        feature_statistics(pair.ours_fake.pooled[:, :width]),
    )
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("shape", [(32, 32), (64, 48), (299, 299), (301, 640)])
def test_resizing(shape: tuple[int, int]) -> None:
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x,
    )

    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, *shape), generator=generator).float()
    expected = interpolate_bilinear_2d_like_tensorflow1x(images, (299, 299), align_corners=False)
    assert (resize_tf1(images, 299) - expected).abs().max() < 1e-4  # of 255
