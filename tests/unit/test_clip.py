"""CLIP: the contrastive loss, its chunks, retrieval, and what it is told of noise."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from genzoo.contrastive.loss import contrastive_loss, retrieval_ranks
from genzoo.core.errors import Unsupported, UsageError
from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.diffusion.process import EDM, Discrete, RectifiedFlow, q_sample
from genzoo.models.clip import CLIP, LARGEST_SCALE, CLIPWithTokenizer, cropped
from genzoo.text.bpe import BPETokenizer

IMAGE = {"patch": 4, "width": 16, "layers": 1, "heads": 2}
TEXT = {"vocab_size": 2048, "context": 32, "width": 16, "layers": 1, "heads": 2}
CHAIN: dict[str, Any] = {"steps": 100, "prediction": "eps", "learned_variance": False}


def clip(*, noise_aware: bool = False, chunk: int | None = None, **training: float) -> CLIP:
    torch.manual_seed(0)
    process = Discrete(schedule="squaredcos_cap_v2", **CHAIN)
    return CLIP(
        image_size=16, features=8, image=IMAGE, text=TEXT, noise_aware=noise_aware,
        process=process, chunk=chunk, **training,
    )  # fmt: skip


def rows(count: int, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Unit vectors of images and captions, and tokens that all differ."""
    g = torch.Generator().manual_seed(seed)
    images, texts = (F.normalize(torch.randn(count, 8, generator=g), dim=1) for _ in range(2))
    return images, texts, torch.arange(count)[:, None].expand(-1, 4)


def test_the_loss_is_the_cross_entropy_both_ways() -> None:
    images, texts, tokens = rows(5)
    found = contrastive_loss(
        images, texts, tokens, torch.arange(len(images)), scale=torch.tensor(7.0)
    )
    logits, own = 7 * images @ texts.T, torch.arange(5)
    torch.testing.assert_close(found.image_to_text, F.cross_entropy(logits, own, reduction="none"))
    torch.testing.assert_close(
        found.text_to_image, F.cross_entropy(logits.T, own, reduction="none")
    )
    assert found.accuracy.tolist() == (logits.argmax(1) == own).float().tolist()


@pytest.mark.parametrize("chunk", [None, 2])
def test_autocast_costs_the_loss_no_digits(chunk: int | None) -> None:
    images, texts, tokens = rows(5)
    scale = torch.tensor(100.0)
    exact = contrastive_loss(
        images, texts, tokens, torch.arange(len(images)), scale=scale, chunk=chunk
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = contrastive_loss(
            images, texts, tokens, torch.arange(len(images)), scale=scale, chunk=chunk
        )
    torch.testing.assert_close(found.image_to_text, exact.image_to_text)


def test_the_same_caption_is_not_wrong() -> None:
    images, texts, tokens = rows(4)
    tokens = tokens.clone()
    tokens[2] = tokens[0]
    found = contrastive_loss(
        images, texts, tokens, torch.arange(len(images)), scale=torch.tensor(3.0)
    )
    logits = 3 * images @ texts.T
    first = logits[0, [0, 1, 3]].log_softmax(0)[0]  # without its twin
    torch.testing.assert_close(found.image_to_text[0], -first)
    torch.testing.assert_close(found.image_to_text[1], -logits[1].log_softmax(0)[1])


def test_another_wording_of_the_same_image_is_not_wrong() -> None:
    images, texts, tokens = rows(4)
    index = torch.tensor([7, 3, 7, 1])
    found = contrastive_loss(images, texts, tokens, index, scale=torch.tensor(3.0))
    logits = 3 * images @ texts.T
    first = logits[0, [0, 1, 3]].log_softmax(0)[0]  # without the other wording
    torch.testing.assert_close(found.image_to_text[0], -first)
    torch.testing.assert_close(found.image_to_text[1], -logits[1].log_softmax(0)[1])


@pytest.mark.parametrize("chunk", [1, 2, 4, 100])
def test_chunks_change_neither_loss_nor_gradient(chunk: int, batch: Batch) -> None:
    whole = clip(crop=0.5, patch_dropout=0.5)
    parts = clip(chunk=chunk, crop=0.5, patch_dropout=0.5)
    found = []
    for model in (whole, parts):
        loss = model.losses(batch, noise=Noise.of(0, batch.index)).total.mean()
        loss.backward()
        found.append((loss, {n: p.grad for n, p in model.named_parameters()}))
    torch.testing.assert_close(found[0][0], found[1][0])
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][name], msg=name)


@pytest.mark.parametrize("less", [{"crop": 0.5}, {"patch_dropout": 0.5}])
def test_less_of_an_image_is_shown_to_the_loss_alone(less: dict[str, float], batch: Batch) -> None:
    whole, part = clip(), clip(**less)
    noise = Noise.of(0, range(len(batch)))
    assert not torch.allclose(
        whole.losses(batch, noise=noise).total, part.losses(batch, noise=noise).total
    )
    torch.testing.assert_close(whole.encode_image(batch.image), part.encode_image(batch.image))


def test_patches_that_are_left_out_are_not_seen(batch: Batch) -> None:
    encoder = clip().image
    kept = torch.tensor([[5, 0, 10]]).expand(len(batch), -1)
    changed = batch.image.clone()
    changed[:, :, :4, 4:8] = 0.3  # patch 1 of 4 x 4
    torch.testing.assert_close(encoder(batch.image, kept=kept), encoder(changed, kept=kept))
    changed[:, :, 4:8, 4:8] = 0.3  # patch 5
    assert not torch.allclose(encoder(batch.image, kept=kept), encoder(changed, kept=kept))
    everything = torch.arange(16).expand(len(batch), -1)
    torch.testing.assert_close(encoder(batch.image, kept=everything), encoder(batch.image))


def test_a_crop_is_a_square_of_the_image() -> None:
    ramp = torch.linspace(-1, 1, 32).expand(64, 3, 32, 32).contiguous()
    found = cropped(ramp, 0.25, noise=Noise.of(0, range(64)))
    steps = found.diff(dim=3)[:, 0, 16, 2:-2]
    share = (steps / ramp.diff(dim=3)[0, 0, 0, 0]).mean(1)  # of the side
    assert share.min() >= 0.5 - 1e-3
    assert share.max() <= 1 + 1e-3
    assert share.std() > 0.05
    assert found[:, 0, 16, 2].std() > 0.05  # at different places
    assert found.abs().max() <= 1 + 1e-5
    assert torch.equal(cropped(ramp, 1.0, noise=Noise.of(0, range(64))), ramp)


def test_the_temperature_is_confined(batch: Batch) -> None:
    model = clip()
    torch.nn.init.constant_(model.log_scale, 9.0)
    model.losses(batch, noise=Noise.of(0, batch.index))
    assert float(model.scale.detach()) == pytest.approx(LARGEST_SCALE)
    assert float(clip().scale.detach()) == pytest.approx(1 / 0.07)


def test_places_count_ties_as_before() -> None:
    similarity = torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0], [0.0, 5.0, 4.0]])
    right = torch.eye(3, dtype=torch.bool)
    assert retrieval_ranks(similarity, right).tolist() == [0, 2, 1]
    right[2, 1] = True  # a second right one
    assert retrieval_ranks(similarity, right).tolist() == [0, 2, 0]


def test_a_model_that_says_the_same_of_all_recognises_nothing(batch: Batch) -> None:
    model = clip().eval()
    torch.nn.init.zeros_(model.image.out.weight)
    found = model.scoring_metrics([(batch, Noise.of(0, batch.index))])
    assert found["recall_at_1/image_to_text"].sum() == 0
    assert found["recall_at_1/text_to_image"].sum() == 0


def test_retrieval_is_over_all_batches(batch: Batch) -> None:
    model = clip(noise_aware=True).eval()
    noise = Noise.of(0, batch.index)
    whole = model.scoring_metrics([(batch, noise)])
    parts = []
    for part in (slice(0, 2), slice(2, 6)):
        own = Batch(
            batch.image[part], batch.caption[part], batch.tokens[part], batch.token_mask[part],
            batch.label[part], batch.index[part],
        )  # fmt: skip
        parts.append((own, noise[part]))
    again = model.scoring_metrics(parts)
    assert whole.keys() == again.keys()
    assert {name for name in whole if name.startswith("recall_at_1/image_to_text/t_")} == {
        f"recall_at_1/image_to_text/t_{t}" for t in (0, 12, 25, 37, 50, 62, 74, 87, 99)
    }
    for name, value in whole.items():
        assert torch.equal(value, again[name]), name


@pytest.mark.parametrize("process", [RectifiedFlow(), EDM()])
def test_noise_of_any_process_is_read_as_its_own(process: Any, batch: Batch) -> None:
    """The same share of noise is the same step, and the same picture once it is scaled."""
    model = clip(noise_aware=True).eval()
    assert isinstance(model.process, Discrete)
    t = torch.tensor([10, 30, 50, 60, 70, 80])
    own = model.process.whole.level(t, batch.image)
    eps, x_t = q_sample(batch.image, own, noise=Noise.of(0, batch.index))
    size = own.alpha + own.sigma if isinstance(process, RectifiedFlow) else own.alpha
    level = type(own)(own.alpha / size, own.sigma / size, own.time)
    torch.testing.assert_close(
        model.encode_image(x_t / size, level), model.encode_image(x_t, own), atol=1e-5, rtol=0
    )
    assert not torch.allclose(model.encode_image(x_t, own), model.encode_image(eps), atol=1e-3)


def test_a_caption_ends_at_its_last_token(batch: Batch) -> None:
    model = clip().eval()
    other = copy.copy(batch.tokens)
    other = torch.where(batch.token_mask, other, (other + 1) % 2048)  # other padding
    first = model.encode_text(batch.tokens, batch.token_mask)
    second = model.encode_text(other, batch.token_mask)
    torch.testing.assert_close(first[1:], second[1:])  # the first caption is empty


def test_what_does_not_go_together_is_refused(batch: Batch) -> None:
    clean, aware = clip(), clip(noise_aware=True)
    level = EDM().schedule(4).level(torch.zeros(6, dtype=torch.long), batch.image)
    with pytest.raises(Unsupported, match="clean images alone"):
        clean.encode_image(batch.image, level)
    with pytest.raises(Unsupported, match="times are for a noise-aware"):
        aware.image(batch.image)
    with pytest.raises(Unsupported, match="not 3 x 8 x 8"):
        aware.image(batch.image[..., :8, :8], torch.zeros(6, dtype=torch.long))
    with pytest.raises(Unsupported, match="reads 32 tokens"):
        clean.encode_text(batch.tokens[:, :5], batch.token_mask[:, :5])
    with pytest.raises(UsageError, match="counts the steps"):
        CLIP(
            image_size=16, features=8, image=IMAGE, text=TEXT, noise_aware=True,
            process=EDM(), chunk=None,
        )  # fmt: skip
    with pytest.raises(UsageError, match="patches"):
        CLIP(
            image_size=18, features=8, image=IMAGE, text=TEXT, noise_aware=False,
            process=EDM(), chunk=None,
        )  # fmt: skip


@pytest.mark.parametrize("training", [{"crop": 0.0}, {"crop": 1.5}, {"patch_dropout": 1.0}])
def test_an_image_of_which_nothing_is_shown_is_refused(training: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(training))):
        clip(**training)


def test_a_matcher_says_which_captions_are_too_long() -> None:
    tokenizer = BPETokenizer.train(["a red heart", "a blue heart"], vocab_size=300, context=32)
    image_text = CLIPWithTokenizer(clip().eval(), tokenizer, "tiny", "0" * 64)
    assert image_text.is_truncated(["a red heart", "xyz " * 40]).tolist() == [False, True]
    assert tokenizer.lengths(["", "xyz " * 40])[0] == 0
    texts = image_text.encode_text(["a red heart", "xyz " * 40])
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(2))
    larger = torch.rand(2, 3, 40, 40) * 2 - 1  # clean ones are resized
    assert image_text.encode_image(larger).shape == (2, 8)
    assert image_text.about["clip_tokens"] == 32
