"""The suite over ranks, its names, its stamps and its errors, with a network of three numbers."""

from pathlib import Path

import pytest
import torch

from genzoo.core.errors import GenzooError, UsageError
from genzoo.metrics.features import FeatureExtractor, Features, NetworkExtractor
from genzoo.metrics.kid import kernel_distance
from genzoo.metrics.prdc import neighbour_metrics
from genzoo.metrics.real import RealFeatures, kept_features, real_features, subset
from genzoo.metrics.settings import MetricSettings
from genzoo.metrics.stamp import Origin, comparable, stamp
from genzoo.metrics.suite import FeatureMetrics, evaluate, metric_name

SETTINGS = MetricSettings(
    splits=2,
    subsets=4,
    subset_size=1000,
    neighbours=3,
    density_neighbours=5,
    neighbour_images=None,
    seed=2020,
)


class Means(torch.nn.Module):
    calls = 0

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.calls += 1
        pooled = torch.stack([x.mean((2, 3)), x.std((2, 3))], 2).flatten(1)
        return pooled, pooled[:, :4] * 20


def extractor(
    *, name: str = "tiny", sha256: str = "0", published: bool = False
) -> NetworkExtractor:
    return NetworkExtractor(
        name=name, sha256=sha256, input_size=8, resizing="none", dim=6, classes=4,
        prepare=lambda x: x.float() / 255, network=Means(), device=torch.device("cpu"),
        published=published, chunk=5,
    )  # fmt: skip


def images(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    level = torch.randint(1, 256, (n, 3, 1, 1), generator=generator)
    return (torch.rand(n, 3, 8, 8, generator=generator) * level).byte()


@pytest.fixture
def real() -> RealFeatures:
    return RealFeatures(extractor()(images(30, 1)).pooled, "train", "print")


def metrics(real: RealFeatures, **kwargs) -> FeatureMetrics:
    return FeatureMetrics(real=real, extractor=extractor(), settings=SETTINGS, **kwargs)


def gathered(parts: list[FeatureMetrics]):
    """A stand-in for the gathering of torchmetrics: hands out what all ranks hold, in turn."""
    queue = [
        [torch.cat(getattr(part, name)) for part in parts]
        for name in ("pooled", "logits", "index")
    ]
    return lambda tensor, group=None: queue.pop(0)


def test_two_ranks_give_exactly_the_numbers_of_one(real: RealFeatures) -> None:
    taken = extractor()(images(21, 2))
    index = torch.arange(21)
    alone = metrics(real)
    alone.update(taken, index)
    ranks = [metrics(real), metrics(real)]
    for rank, part in enumerate(ranks):
        rows = torch.cat(
            [index[rank::2], index[:rank]]
        )  # rank 1 repeats an image, as padding does
        part.update(Features(taken.pooled[rows], taken.logits[rows]), rows)  # type: ignore[index]
    first = ranks[0]
    first.dist_sync_fn, first.distributed_available_fn = gathered(ranks), lambda: True
    assert first.compute() == alone.compute()


def test_order_and_batches_do_not_matter(real: RealFeatures) -> None:
    taken, index = extractor()(images(20, 2)), torch.arange(20)
    whole, parts = metrics(real), metrics(real)
    whole.update(taken, index)
    for rows in (torch.arange(19, 9, -1), torch.arange(0, 0), torch.arange(0, 10)):
        parts.update(Features(taken.pooled[rows], taken.logits[rows]), rows)  # type: ignore[index]
    assert parts.compute() == whole.compute()


def test_only_published_inception_is_called_fid(real: RealFeatures) -> None:
    fake = extractor()(images(20, 2))
    own = evaluate(real, fake, extractor=extractor(), settings=SETTINGS)
    kinds = (
        "frechet_distance frechet_distance_infinity kernel_distance inception_score "
        "precision recall density coverage vendi"
    )
    assert set(own) == {f"{kind}/tiny" for kind in kinds.split()}
    published = extractor(name="inception", published=True)
    assert {"fid", "fid_infinity", "kid", "inception_score"} < set(
        evaluate(real, fake, extractor=published, settings=SETTINGS)
    )
    random = extractor(name="inception_random")
    assert metric_name("frechet_distance", random) == "frechet_distance/inception_random"


def test_directions_and_spreads(real: RealFeatures) -> None:
    values = evaluate(real, extractor()(images(20, 2)), extractor=extractor(), settings=SETTINGS)
    lower = {name.partition("/")[0] for name, v in values.items() if v.better == "lower"}
    assert lower == {"frechet_distance", "frechet_distance_infinity", "kernel_distance"}
    spread = {name.partition("/")[0] for name, v in values.items() if v.spread is not None}
    assert spread == {"inception_score", "kernel_distance"}


def test_of_few_images_the_unbiased_distance_comes_first(real: RealFeatures) -> None:
    """Six features: 30 real images are fewer than the 60 that a Fréchet distance needs."""
    fake = extractor()(images(80, 2))
    few = evaluate(real, fake, extractor=extractor(), settings=SETTINGS)
    assert next(iter(few)) == "kernel_distance/tiny"
    floor = few["frechet_distance/tiny"].floor
    assert floor is not None
    assert 0 < floor < few["frechet_distance/tiny"].value
    many = RealFeatures(extractor()(images(60, 1)).pooled, "train", "print")
    enough = evaluate(many, fake, extractor=extractor(), settings=SETTINGS)
    assert next(iter(enough)) == "frechet_distance/tiny"
    assert enough["frechet_distance/tiny"].floor is None


def test_extrapolation_needs_samples_and_says_through_which_it_goes(real: RealFeatures) -> None:
    for count, there in ((15, False), (16, True)):
        fake = extractor()(images(count, 2))
        found = evaluate(real, fake, extractor=extractor(), settings=SETTINGS)
        assert ("frechet_distance_infinity/tiny" in found) == there
    own = found["frechet_distance_infinity/tiny"]
    assert own.interval is not None
    assert own.interval[0] < own.value < own.interval[1]
    words = SETTINGS.of("frechet_distance_infinity", real=30, fake=16)
    assert words == "line over 1/N through N = 16, 8, 4, order 2020"


def test_a_network_without_classes_has_no_inception_score(real: RealFeatures) -> None:
    fake = Features(extractor()(images(20, 2)).pooled, None)
    values = evaluate(real, fake, extractor=extractor(), settings=SETTINGS)
    assert "inception_score/tiny" not in values


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_images(real: RealFeatures, count: int) -> None:
    metric = metrics(real)
    metric.update(extractor()(images(count, 2)), torch.arange(count))
    with pytest.raises(GenzooError, match="images"):
        metric.compute()


def test_errors_name_the_setting(real: RealFeatures) -> None:
    few = extractor()(images(4, 2)).pooled
    with pytest.raises(UsageError, match=r"metrics\.subset_size"):
        kernel_distance(real.pooled, few, subsets=1, subset_size=5, seed=0)
    with pytest.raises(UsageError, match=r"4 nearest neighbours .* 4 generated"):
        neighbour_metrics(real.pooled, few, neighbours=4, density_neighbours=5)
    with pytest.raises(UsageError, match=r"metrics\.splits=0 is too small"):
        MetricSettings(
            splits=0,
            subsets=1,
            subset_size=2,
            neighbours=1,
            density_neighbours=1,
            neighbour_images=None,
            seed=0,
        )


def test_images_must_be_8_bit_rgb() -> None:
    with pytest.raises(TypeError, match="uint8"):
        extractor()(images(2, 0).float())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        extractor()(images(2, 0)[:, :1])


def test_features_are_float32_even_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        taken = extractor()(images(7, 0))
    assert taken.pooled.dtype == torch.float32
    assert torch.equal(taken.pooled, extractor()(images(7, 0)).pooled)
    assert isinstance(extractor(), FeatureExtractor)


def cached(source: NetworkExtractor, folder: Path, **changes) -> RealFeatures:
    arguments = {"fingerprint": "print", "split": "train", "indices": torch.arange(9)} | changes
    return real_features([images(9, 1)], source, cache=folder, **arguments)


def test_real_features_are_taken_once(tmp_path: Path) -> None:
    source = extractor()
    first = cached(source, tmp_path)
    calls = source.network.calls
    again = cached(source, tmp_path)
    assert source.network.calls == calls
    assert torch.equal(first.pooled, again.pooled)


@pytest.mark.parametrize(
    "change", [{"fingerprint": "other"}, {"indices": torch.arange(9) + 1}, "sha256"]
)
def test_real_features_are_taken_anew_when_anything_changes(tmp_path: Path, change) -> None:
    cached(extractor(), tmp_path)
    source = extractor(sha256="1") if change == "sha256" else extractor()
    cached(source, tmp_path, **({} if change == "sha256" else change))
    assert source.network.calls > 0


def test_other_real_images_of_the_same_number_are_other_features(tmp_path: Path) -> None:
    """`metrics.seed` chooses them; by their number alone the first choice was given out."""
    first, second = (subset(torch.arange(40), 9, seed=seed) for seed in (1, 2))
    pixels = images(40, 1)

    def features(rows: torch.Tensor) -> RealFeatures:
        return real_features(
            [pixels[rows]], extractor(), cache=tmp_path, fingerprint="print", split="train",
            indices=rows,
        )  # fmt: skip

    a, b = features(first), features(second)
    assert not torch.equal(a.pooled, b.pooled)
    assert a.indices != b.indices
    assert torch.equal(features(first).pooled, a.pooled)


def test_class_scores_are_kept_beside_features(tmp_path: Path) -> None:
    arguments = {"cache": tmp_path, "fingerprint": "print", "indices": torch.arange(9)}
    for classes in (True, False, True):
        found = kept_features([images(9, 1)], extractor(), classes=classes, **arguments)
        assert (found.logits is not None) == classes
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_cache_is_replaced(tmp_path: Path) -> None:
    expected = cached(extractor(), tmp_path).pooled
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:40])
    assert torch.equal(cached(extractor(), tmp_path).pooled, expected)
    assert torch.equal(cached(extractor(), tmp_path).pooled, expected)
    assert [f.name for f in tmp_path.iterdir()] == [file.name]


def test_the_wrong_number_of_real_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GenzooError, match="9 real images"):
        cached(extractor(), tmp_path, indices=torch.arange(10))
    assert not list(tmp_path.iterdir())


ORIGIN = Origin(
    real_images=30, generated_images=20, real_split="train", caption_split="test", sample_seed=0,
    real_indices="r", captions="c", given="nothing", training_seed=0, evaluation_seed=2020,
    guidance="none", sampler=None, precision="32-true", ema=True, data="shapes",
    data_fingerprint="print", image_size=8, git=None,
)  # fmt: skip


def made(metric: str = "kernel_distance/tiny", **changes):
    origin = Origin(**{**vars(ORIGIN), **changes})
    return stamp(metric, extractor=extractor(), settings=SETTINGS, origin=origin)


def test_the_stamp_is_flat_and_carries_the_settings() -> None:
    flat = made()
    assert all(isinstance(value, str | int | float | bool | None) for value in flat.values())
    assert flat["settings"] == "4 subsets of 10, seed 2020"
    assert made("kid")["settings"] == flat["settings"]


def test_what_forbids_ranking() -> None:
    assert comparable(made(), made(sample_seed=1, guidance="cfg 3", ema=False, git="a")) == []
    other = made(generated_images=19, real_split="test", image_size=16)
    assert comparable(made(), other) == [
        "generated_images",
        "image_size",
        "real_split",
        "settings",
    ]
    shorter = {key: value for key, value in made().items() if key != "resizing"}
    assert comparable(made(), shorter) == ["resizing"]
    # What drew in another precision is not ranked; before stamps named it, it was float32.
    assert comparable(made(), made(precision="bf16-mixed")) == ["precision"]
    older = {key: value for key, value in made().items() if key != "precision"}
    assert comparable(made(), older) == comparable(older, made()) == []
    assert comparable(made(precision="bf16-mixed"), older) == ["precision"]
