"""Images with several captions: one image in every count, one caption at every visit."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from genzoo.contrastive.loss import contrastive_loss
from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.data.datamodule import TextImageDataModule
from genzoo.data.dataset import TextImageData
from genzoo.metrics.prdc import NeighbourMetrics, neighbour_metrics
from genzoo.models.clip import CLIP
from genzoo.tasks.measuring import shown
from genzoo.text.bpe import BPETokenizer
from tests.captioned import captioned_folder, opened
from tests.unit.test_clip import clip

IMAGES, CAPTIONS = 40, 5


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The same images with one caption each, and with five."""
    root = tmp_path_factory.mktemp("captioned")
    return {
        count: captioned_folder(root / str(count), images=IMAGES, captions=count)
        for count in (1, CAPTIONS)
    }


@pytest.fixture(scope="module")
def one(folders: dict[int, Path]) -> TextImageData:
    return opened(folders[1])


@pytest.fixture(scope="module")
def five(folders: dict[int, Path]) -> TextImageData:
    return opened(folders[CAPTIONS])


@pytest.fixture(scope="module")
def tokenizer(five: TextImageData) -> BPETokenizer:
    return BPETokenizer.train(five.texts("train"), vocab_size=400, context=32)


def test_it_is_one_image_in_every_count(one: TextImageData, five: TextImageData) -> None:
    assert len(five) == len(one) == IMAGES
    assert five.splits == one.splits
    assert len(list(five._images)) == IMAGES  # one decoding, one place in the cache
    assert five.captions == one.captions
    assert five.fingerprint != one.fingerprint
    assert len(five.texts("train")) == CAPTIONS * five.splits["train"]


def neighbours(data: TextImageData) -> NeighbourMetrics:
    """Of slightly changed validation images, against the training images, by their pixels."""
    real, near = (
        data.images(data.split(name)).flatten(1).float() for name in ("train", "validation")
    )
    torch.manual_seed(0)
    fake = torch.cat([real[::2], near]) + 20 * torch.randn(len(real[::2]) + len(near), 768)
    return neighbour_metrics(real, fake, neighbours=3, density_neighbours=5)


def test_more_captions_change_no_metric_of_the_same_images(
    one: TextImageData, five: TextImageData
) -> None:
    """As items of their own they made every real image its own neighbour, at distance 0."""
    assert neighbours(five) == neighbours(one)
    assert neighbours(five).precision > 0.5
    assert neighbours(five).coverage > 0.9
    real = one.images(one.split("train")).flatten(1).float()
    repeated = neighbour_metrics(
        real.repeat(CAPTIONS + 1, 1), real + 20, neighbours=3, density_neighbours=5
    )
    assert (repeated.precision, repeated.density) == (0, 0)  # what this test would not let pass


def visits_of(
    data: TextImageData, tokenizer: BPETokenizer, *, rank: int = 0, world: int = 1, **options: Any
) -> Iterator[list[str]]:
    module = TextImageDataModule(data, tokenizer, seed=7, **options)
    module.trainer = SimpleNamespace(global_rank=rank, world_size=world)
    return (list(batch.caption) for batch in module.train_dataloader())


def take(batches: Iterator[list[str]], count: int) -> list[list[str]]:
    return [next(batches) for _ in range(count)]


def test_training_shows_every_caption_one_a_visit(
    five: TextImageData, tokenizer: BPETokenizer
) -> None:
    size, rounds = five.splits["train"], 40
    visits = take(visits_of(five, tokenizer, batch_size=size), rounds)
    for visit in visits:
        assert len({caption.split()[1] for caption in visit}) == size  # each image once
    counts = Counter(caption for visit in visits for caption in visit)
    assert set(counts) == set(five.texts("train"))
    # 40 visits of 5 captions: 8 each on average, with a standard deviation of 2.5.
    assert max(counts.values()) < 21
    kinds = Counter(caption.split()[-1] for visit in visits for caption in visit)
    expected = size * rounds / CAPTIONS
    assert all(abs(count - expected) < 5 * expected**0.5 for count in kinds.values())


def test_resuming_shows_the_captions_of_an_unbroken_training(
    five: TextImageData, tokenizer: BPETokenizer
) -> None:
    whole = take(visits_of(five, tokenizer, batch_size=4), 40)  # some epochs
    resumed = visits_of(five, tokenizer, batch_size=4, start_images=4 * 13)
    assert take(resumed, 27) == whole[13:]


def test_two_ranks_show_the_captions_of_one(five: TextImageData, tokenizer: BPETokenizer) -> None:
    whole = take(visits_of(five, tokenizer, batch_size=4), 40)
    ranks = [
        take(visits_of(five, tokenizer, batch_size=2, rank=rank, world=2), 40) for rank in (0, 1)
    ]
    assert [a + b for a, b in zip(*ranks, strict=True)] == whole
    larger = take(visits_of(five, tokenizer, batch_size=8), 20)
    assert list(chain(*larger)) == list(chain(*whole))


def test_templates_word_every_caption(folders: dict[int, Path], tokenizer: BPETokenizer) -> None:
    worded = opened(folders[CAPTIONS], templates=("{}", "a picture of {}"))
    size = worded.splits["train"]
    assert len(worded.views("train")) == 2 * size  # an image is visited once in each wording
    (epoch,) = take(visits_of(worded, tokenizer, batch_size=2 * size), 1)
    words = Counter(caption.startswith("a picture of ") for caption in epoch)
    assert words == {True: size, False: size}
    assert len(set(worded.texts("train"))) == 2 * CAPTIONS * size
    cut = worded.cut(tokenizer)
    assert (cut.captions, cut.of) == (0, 2 * CAPTIONS * IMAGES)


def test_evaluation_goes_through_captions_in_a_fixed_order(five: TextImageData) -> None:
    """The first captions of all images, then the second ones."""
    order = five.split("validation").tolist()[::-1]
    count = len(order)
    numbers = shown(five, order, range(CAPTIONS * count + 2))
    assert numbers[:count] == order
    texts = five.texts_of(numbers)
    assert texts[count] == f"image {order[0]} in words of kind 1"
    assert texts[2 * count + 1] == f"image {order[1]} in words of kind 2"
    assert len(set(texts)) == CAPTIONS * count
    assert texts[-2:] == texts[:2]
    assert (five.images(numbers[count:]) == five.images(numbers[:-count])).all()
    with pytest.raises(IndexError):
        five.images([CAPTIONS * IMAGES])


class Perfect(CLIP):
    """A CLIP to which an image and all its captions are one vector."""

    vectors: dict[bytes, torch.Tensor]

    def encode_image(self, images: torch.Tensor, level: Any = None) -> torch.Tensor:
        return torch.stack([self.vectors[image.numpy().tobytes()] for image in images])

    def encode_text(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.vectors[row.numpy().tobytes()] for row in tokens])


def perfect(batch: Batch) -> CLIP:
    model = clip().eval()
    model.__class__ = Perfect
    every, captions = torch.eye(len(batch)), batch.all_captions
    found = {image.numpy().tobytes(): every[i] for i, image in enumerate(batch.image)}
    for row, image in zip(captions.tokens, captions.row.tolist(), strict=True):
        found[row.numpy().tobytes()] = every[image]
    model.vectors = found  # type: ignore[assignment]
    return model


def test_a_perfect_clip_finds_every_image_and_one_of_its_captions(
    five: TextImageData, tokenizer: BPETokenizer
) -> None:
    indices = five.split("validation")
    whole = five.batch(indices, tokenizer, all_captions=True)
    assert len(whole.all_captions) == CAPTIONS * len(indices)
    parts = [five.batch(part, tokenizer, all_captions=True) for part in (indices[:3], indices[3:])]
    model = perfect(whole)
    found = model.scoring_metrics([(batch, Noise.of(0, batch.index)) for batch in parts])
    assert found["recall_at_1/image_to_text"].tolist() == [1.0] * len(indices)
    assert found["recall_at_1/text_to_image"].tolist() == [1.0] * CAPTIONS * len(indices)
    fooled = perfect(whole)  # one caption of the first image is taken for the second's
    key = whole.all_captions.tokens[2].numpy().tobytes()
    fooled.vectors[key] = torch.eye(len(whole))[1]  # type: ignore[index]
    found = fooled.scoring_metrics([(whole, Noise.of(0, whole.index))])
    assert found["recall_at_1/text_to_image"].tolist().count(0.0) == 1
    assert found["recall_at_1/image_to_text"].tolist() == [1.0, 0.0, *[1.0] * (len(indices) - 2)]


def test_all_captions_come_along_to_other_devices(
    five: TextImageData, tokenizer: BPETokenizer
) -> None:
    batch = five.batch([3, 1], tokenizer, all_captions=True)
    there = batch.to("meta").captions
    assert there is not None
    assert there.tokens.is_meta
    assert batch.all_captions.row.tolist() == [0] * CAPTIONS + [1] * CAPTIONS
    texts = five.texts_of(five.captioned([3] * CAPTIONS, range(CAPTIONS)))
    assert torch.equal(batch.all_captions.tokens[:CAPTIONS], tokenizer.encode(texts)[0])
    assert five.batch([3, 1], tokenizer).captions is None


def test_images_may_have_different_numbers_of_captions(tmp_path: Path) -> None:
    captioned_folder(tmp_path, images=3, captions=1)
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "01.png", "text": ["one", "two"]}\n'
        '{"file_name": "00.png", "text": "a"}\n'
        '{"file_name": "01.png", "text": "three"}\n'
    )
    data = opened(tmp_path, validation=0.0)
    assert data.captions == ["one", "a"]
    assert data.texts("train") == ["one", "two", "three", "a"]
    assert data.texts_of(data.captioned([0, 1] * 4, np.repeat(range(4), 2))) == [
        "one", "a", "two", "a", "three", "a", "one", "a",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*all_gather is deprecated:FutureWarning")
def test_other_captions_of_an_image_are_not_wrong_across_processes() -> None:
    """Each of two processes has another caption of the same image."""
    context = multiprocessing.get_context("fork")
    answers: Any = context.Queue()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [context.Process(target=_loss_on, args=(rank, port, answers)) for rank in (0, 1)]
    for process in ranks:
        process.start()
    found = dict(answers.get(timeout=60) for _ in ranks)
    for process in ranks:
        process.join(60)
    whole = _terms(slice(0, 6))
    assert found[0] + found[1] == pytest.approx(whole, abs=1e-6)
    # Image 2 is in the first half with one caption and in the second half with another.
    strangers = _terms(slice(0, 6), index=range(6))
    assert whole[2] < strangers[2] - 0.1
    assert whole[0] == pytest.approx(strangers[0])


def _terms(rows: slice, index: Iterable[int] = (0, 1, 2, 3, 4, 2)) -> list[float]:
    """The loss of some of six rows, of which two have the same image."""
    own = torch.tensor(list(index))[rows]
    generator = torch.Generator().manual_seed(0)
    vectors, noise = torch.randn(2, 6, 8, generator=generator)
    vectors[5] = vectors[2]
    images, texts = F.normalize(vectors, dim=1), F.normalize(vectors + 0.5 * noise, dim=1)
    tokens = torch.arange(6)[:, None].expand(-1, 4)[rows]
    found = contrastive_loss(images[rows], texts[rows], tokens, own, scale=torch.tensor(5.0))
    return [float(value) for value in found.image_to_text + found.text_to_image]


def _loss_on(rank: int, port: int, answers: Any) -> None:
    os.environ |= {
        "RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    torch.distributed.init_process_group("gloo")
    answers.put((rank, _terms(slice(3 * rank, 3 * rank + 3))))
    torch.distributed.destroy_process_group()
