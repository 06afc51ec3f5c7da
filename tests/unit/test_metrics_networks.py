"""Where weights come from, what is refused, and that the ImageNet network knows a photograph."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from genzoo.core.digest import of_weights
from genzoo.core.errors import GenzooError, UsageError
from genzoo.metrics import dinov2, efficientnet, inception
from genzoo.metrics.domain import domain_record, train_domain_classifier
from genzoo.metrics.extractors import build_extractor
from genzoo.metrics.files import atomic_write, default_cache
from genzoo.metrics.resize import resize_half_pixel
from genzoo.metrics.suite import metric_name


def photograph() -> torch.Tensor:
    """Grace Hopper in uniform, from matplotlib's sample data."""
    import matplotlib
    import numpy as np

    file = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    square = Image.open(file).convert("RGB").crop((0, 0, 512, 512)).resize((224, 224))
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None]


def test_efficientnet_sees_a_military_uniform() -> None:
    network = build_extractor("efficientnet_lite0")
    taken = network(photograph())
    assert taken.pooled.shape == (1, network.dim)
    assert taken.logits is not None
    assert taken.logits.argmax().item() == 652  # ImageNet's "military uniform"
    assert network.sha256 == "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    assert not network.published


def test_efficientnet_features_do_not_depend_on_the_batch() -> None:
    network = build_extractor("efficientnet_lite0")
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 20, 20), dtype=torch.uint8, generator=generator)
    whole = network(images).pooled
    single = torch.cat([network(image[None]).pooled for image in images])
    assert torch.allclose(whole, single, atol=1e-4)
    assert len(network(images[:0])) == 0


def test_unknown_and_missing() -> None:
    with pytest.raises(UsageError, match="efficientnet_lite0, inception, dinov2, clip, domain"):
        build_extractor("vgg")
    for name in ("efficientnet_lite0", "inception", "dinov2", "domain"):
        with pytest.raises(UsageError, match="at /nowhere/x"):
            build_extractor(name, weights="/nowhere/x")
    with pytest.raises(UsageError, match=r"metrics\.weights\.domain"):
        build_extractor("domain")


def test_other_weights_are_never_called_inception(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save({}, file)
    with pytest.raises(UsageError, match="sha256 differs"):
        build_extractor("inception", weights=file)


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("touched"),))


def test_a_pickle_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"x": Malicious()}, "bad.pth")
    with pytest.raises(UsageError, match="does not hold"):
        build_extractor("efficientnet_lite0", weights="bad.pth")
    digest = hashlib.sha256(Path("bad.pth").read_bytes()).hexdigest()
    monkeypatch.setattr(inception, "SHA256", digest)
    with pytest.raises(UsageError, match="does not hold"):
        build_extractor("inception", weights="bad.pth")
    assert not Path("touched").exists()


def test_fetching_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"the weights")
    cache = tmp_path / "cache"
    with pytest.raises(GenzooError, match="not what was published"):
        inception.fetched_weights(cache=cache, url=source.as_uri())
    assert [file.suffix for file in cache.iterdir()] == [".lock"]
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(b"the weights").hexdigest())
    file = inception.fetched_weights(cache=cache, url=source.as_uri())
    source.unlink()
    assert inception.fetched_weights(cache=cache, url=source.as_uri()) == file
    assert {f.name for f in cache.iterdir() if f.suffix != ".lock"} == {inception.FILE}


def test_without_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GenzooError, match="download it elsewhere and set"):
        inception.fetched_weights(cache=tmp_path, url=(tmp_path / "absent").as_uri())


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("old")

    def interrupted() -> None:
        with atomic_write(file) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (file.read_text(), len(list(tmp_path.iterdir()))) == ("old", 1)


def test_two_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    """As threads of one process may: each has a file of its own until it is complete."""
    file = tmp_path / "deep" / "a.safetensors"
    with atomic_write(file) as first, atomic_write(file) as second:
        first.write_text("first")
        second.write_text("second")
    assert file.read_text() == "first"  # the last to end
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(file.parent.iterdir()) == [file]


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", Path("/proc/self")):
        with pytest.raises(GenzooError, match=r"cannot be written .*set GENZOO_CACHE"):
            atomic_write(folder / "a").__enter__()


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GENZOO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "genzoo" / "metrics"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert default_cache() == Path.home() / ".cache" / "genzoo" / "metrics"
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "own"))
    assert default_cache() == tmp_path / "own" / "metrics"


@pytest.mark.parametrize("content", ["nothing", "other weights", "pickle", "no tensors"])
def test_what_is_not_dinov2_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    file = tmp_path / "dinov2.pth"
    objects = {"other weights": {"a": torch.ones(3)}, "no tensors": [1], "pickle": Malicious()}
    if content == "nothing":
        file.write_bytes(b"")
    else:
        torch.save(objects[content], file)
    with pytest.raises(UsageError, match=r"dinov2\.pth does not hold weights .*vitl14_pretrain"):
        build_extractor("dinov2", weights=file)
    assert not Path("touched").exists()


def test_dinov2_without_network_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GenzooError, match=r"set metrics\.weights\.dinov2=<folder>/dinov2_vitl14"):
        dinov2.fetched_weights(cache=tmp_path, url=(tmp_path / "absent").as_uri())


def test_only_the_published_dinov2_gives_fd_dinov2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = dinov2.VisionTransformer(width=64, depth=1, patch=14, grid=16)
    file = tmp_path / "dinov2.pth"
    torch.save(network.state_dict(), file)
    own = build_extractor("dinov2", weights=file)
    assert metric_name("frechet_distance", own) == "frechet_distance/dinov2"
    assert (own.dim, own.classes, own.resizing[:7]) == (64, 0, "bicubic")
    monkeypatch.setattr(dinov2, "SHA256", own.sha256)
    published = build_extractor("dinov2", weights=file)
    assert metric_name("frechet_distance", published) == "fd_dinov2"
    assert metric_name("precision", published) == "precision/dinov2"


def test_images_that_are_too_large_are_antialiased_but_for_fid() -> None:
    """Stripes of one pixel are grey from far away; every fourth pixel alone is black or white."""
    images = (torch.arange(896) % 2 * 255).byte().expand(1, 3, 896, 896)
    for prepare, flat in ((efficientnet.prepare, True), (inception.prepare, False)):
        assert (prepare(images).std().item() < 0.01) == flat
    small = images[..., :32, :32].float()
    plain = torch.nn.functional.interpolate(small, (224, 224), mode="bilinear")
    assert torch.equal(resize_half_pixel(small, 224), plain)


def stripes(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(n) % 2
    pattern = (torch.arange(8) // 2 % 2 * 160).float()
    flat = torch.stack([pattern.expand(8, 8), pattern.expand(8, 8).T])[labels][:, None]
    noise = torch.rand(n, 3, 8, 8, generator=generator) * 90
    return (flat + noise).byte(), labels


def trained(folder: Path, seed: int = 0) -> Path:
    images, labels = stripes(160)
    return train_domain_classifier(
        images, labels, seed=seed, fingerprint="f00", command="python -m genzoo ...",
        epochs=6, batch_size=16, cache=folder,
    )  # fmt: skip


def test_a_domain_classifier_learns_and_is_recorded(tmp_path: Path) -> None:
    file = trained(tmp_path)
    record = domain_record(file)
    assert record.accuracy == 1.0
    assert (record.classes, record.input_size, record.command) == (2, 8, "python -m genzoo ...")
    network = build_extractor("domain", weights=file)
    images, labels = stripes(40)
    taken = network(images)
    assert taken.logits is not None
    assert (taken.logits.argmax(1) == labels).all()
    assert taken.pooled.shape == (40, network.dim)
    assert network.sha256 == of_weights(load_file(file)), "of its weights, not of its file"


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    first, second = trained(tmp_path / "a"), trained(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    assert trained(tmp_path / "a", seed=1).read_bytes() != first.read_bytes()


def test_a_damaged_domain_classifier_is_refused(tmp_path: Path) -> None:
    file = trained(tmp_path)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UsageError, match="is not a domain classifier"):
        build_extractor("domain", weights=file)
    file.write_text(json.dumps({}))
    with pytest.raises(UsageError, match="is not a domain classifier"):
        build_extractor("domain", weights=file)


def test_data_without_classes_is_refused(tmp_path: Path) -> None:
    images, _ = stripes(10)
    with pytest.raises(UsageError, match="no classes"):
        train_domain_classifier(
            images, torch.full((10,), -1), seed=0, fingerprint="f", command="", cache=tmp_path
        )
