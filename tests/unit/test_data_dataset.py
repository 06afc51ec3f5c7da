"""The data set and its datamodule: what a batch holds, in which order, on which rank."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genzoo.core.errors import UsageError
from genzoo.core.image import to_float
from genzoo.data.dataset import TextImageData
from genzoo.data.shapes import Shapes
from genzoo.data.source import Damaged
from genzoo.text.bpe import BPETokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def data(folder):
    return build(folder)


@pytest.fixture(scope="module")
def tokenizer(data):
    return BPETokenizer.train(data.captions, vocab_size=300, context=12)


def build(folder, source=None, **changes):
    options = {"image_size": 16, "validation": 0.2, "max_skipped": 0.0, "cache": folder}
    source = source or Shapes(count=60, seed=0, held_out=["red circle"])
    return TextImageData(source, **{**options, **changes})


class Torn(Shapes):
    """Shapes of which two cannot be drawn."""

    def fingerprint(self):
        return "torn " + super().fingerprint()

    def render(self, i, size):
        if i in (0, 7):
            raise Damaged("torn")
        return super().render(i, size)


def test_a_batch_holds_what_the_items_say(data, tokenizer):
    batch = data.batch([5, 3, 5], tokenizer)
    assert batch.image.shape == (3, 3, 16, 16)
    assert batch.image.dtype == torch.float32
    assert batch.index.tolist() == [5, 3, 5]
    assert batch.caption == tuple(data.captions[i] for i in (5, 3, 5))
    assert batch.label.tolist() == [int(data.labels[i]) for i in (5, 3, 5)]
    assert (
        tokenizer.decode(batch.tokens)[1]
        == tokenizer.decode(tokenizer.encode(batch.caption)[0])[1]
    )
    assert (batch.image == to_float(data.images([5, 3, 5]))).all()
    source = Shapes(count=60, seed=0)
    drawn = torch.from_numpy(source.render(3, 16)).permute(2, 0, 1)
    assert (data.images([3])[0] == drawn).all()


def test_indices_come_in_any_form(data, tokenizer):
    for indices in ([1, 2], np.array([1, 2]), torch.tensor([1, 2]), range(1, 3)):
        assert data.condition(indices, tokenizer).caption == tuple(data.captions[1:3])
    assert data.images([]).shape == (0, 3, 16, 16)


def test_tokens_are_made_once_for_a_tokenizer(data, tokenizer):
    calls = []

    class Counting(BPETokenizer):
        def __init__(self):
            vars(self).update(vars(tokenizer))

        def encode(self, texts):
            calls.append(len(texts))
            return tokenizer.encode(texts)

    counting = Counting()
    for _ in range(3):
        data.batch([0, 1], counting)
    assert calls == [len(set(data.captions))]
    data.batch([0], Counting())
    assert len(calls) == 2


@pytest.fixture(scope="module")
def worded(folder):
    return build(folder, templates=["{}", "a picture of {}"])


def test_templates_word_captions_in_training_alone(folder, data, worded, tokenizer):
    views, items = worded.views("train"), worded.split("train")
    assert views.tolist() == [*items.tolist(), *(60 + items).tolist()]
    batch = worded.batch([5, 65], tokenizer)
    bare = data.captions[5]
    assert batch.caption == (bare, f"a picture of {bare}")
    for row, text in zip(batch.tokens, batch.caption, strict=True):
        assert (row == tokenizer.encode([text])[0][0]).all()
    assert (batch.image[0] == batch.image[1]).all()
    assert batch.index.tolist() == [5, 5]
    assert worded.captions == data.captions
    assert worded.fingerprint == data.fingerprint
    texts = worded.texts("train")
    assert texts == [worded.condition([view], tokenizer).caption[0] for view in views.tolist()]
    assert build(folder, templates=["one {}"]).captions[5] == f"one {bare}"


def test_training_goes_through_every_template(worded, tokenizer):
    from genzoo.data.datamodule import TextImageDataModule

    views = len(worded.views("train"))
    module = TextImageDataModule(worded, tokenizer, batch_size=views, seed=7)
    seen = next(iter(module.train_dataloader())).caption
    assert sorted(seen) == sorted(worded.texts("train"))


@pytest.mark.parametrize("templates", [[], ["a picture"], ["{}", "{} and {}"]])
def test_templates_without_a_place_for_the_caption_are_refused(folder, templates):
    with pytest.raises(UsageError, match=r"data\.templates="):
        build(folder, templates=templates)


def test_splits_are_apart_and_complete(data):
    parts = [data.split(name) for name in ("train", "validation", "held_out")]
    assert sorted(np.concatenate(parts).tolist()) == list(range(60))
    assert all((np.diff(part) > 0).all() for part in parts)
    assert {data.captions[i] for i in parts[0]}.isdisjoint(data.captions[i] for i in parts[1])
    assert "red circle" not in " ".join(data.captions[i] for i in parts[0])
    with pytest.raises(UsageError, match=r"no split 'test'; choose one of .*held_out"):
        data.split("test")


def test_damaged_items_leave_no_gap(folder):
    torn = build(folder, Torn(count=60, seed=0, held_out=["red circle"]), max_skipped=0.05)
    whole = build(folder)
    assert (len(torn), torn.skipped) == (58, 2)
    assert torn.keys[:7] == ["1", "2", "3", "4", "5", "6", "8"]
    assert (torn.images([6]) == whole.images([8])).all()
    assert torn.captions[6] == whole.captions[8]
    assert torn.attributes[6] == whole.attributes[8]
    assert torn.report.is_file()


def test_the_fingerprint_follows_content_and_splits(folder, tmp_path, data):
    assert build(tmp_path).fingerprint == data.fingerprint  # not the place of the cache
    others = [
        build(folder, image_size=8),
        build(folder, validation=0.3),
        build(folder, Shapes(count=60, seed=0)),
        build(folder, Shapes(count=60, seed=1, held_out=["red circle"])),
    ]
    assert len({data.fingerprint, *(other.fingerprint for other in others)}) == 5


@pytest.mark.parametrize("changes", [{"image_size": 0}, {"image_size": 9999}, {"validation": 1.0}])
def test_senseless_values_are_refused(folder, changes):
    with pytest.raises(UsageError, match=r"data\.(image_size|validation)="):
        build(folder, **changes)


@pytest.fixture
def module(data, tokenizer):
    from genzoo.data.datamodule import TextImageDataModule

    def make(batch_size=4, rank=None, world=1, **options):
        found = TextImageDataModule(data, tokenizer, batch_size=batch_size, seed=7, **options)
        if rank is not None:
            found.trainer = SimpleNamespace(global_rank=rank, world_size=world)
        return found

    return make


def first(loader, count):
    batches = iter(loader)
    return [next(batches).index.tolist() for _ in range(count)]


def test_training_continues_where_it_stopped(module):
    whole = first(module().train_dataloader(), 30)
    resumed = module()
    resumed.start_images = 4 * 13
    assert first(resumed.train_dataloader(), 17) == whole[13:]
    assert whole != sorted(whole)


def test_two_ranks_show_the_images_of_one(module):
    one = first(module(batch_size=4).train_dataloader(), 20)
    ranks = [first(module(batch_size=2, rank=r, world=2).train_dataloader(), 20) for r in (0, 1)]
    assert [a + b for a, b in zip(*ranks, strict=True)] == one


@pytest.mark.parametrize("world", [1, 2, 3])
def test_validation_shows_each_image_once(module, data, world):
    seen = [
        i
        for rank in range(world)
        for batch in module(rank=rank, world=world).val_dataloader()
        for i in batch.index.tolist()
    ]
    assert sorted(seen) == data.split("validation").tolist()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_worker_processes_load_the_same(module):
    alone = [next(iter(module().train_dataloader()))]
    loader = module(workers=2).train_dataloader()
    batches = iter(loader)
    worked = [next(batches) for _ in range(3)]
    assert (worked[0].image == alone[0].image).all()
    assert worked[0].caption == alone[0].caption
    assert [b.index.tolist() for b in worked] == first(module().train_dataloader(), 3)
    batches._shutdown_workers()


def test_a_spawned_worker_gets_a_name_not_the_pixels(data):
    import pickle

    packed = pickle.dumps(data)
    assert len(packed) < data.images(range(len(data))).numel()
    assert (pickle.loads(packed).images([4]) == data.images([4])).all()


def test_some_of_a_split_are_spread_over_it(tmp_path: Path) -> None:
    data = TextImageData(
        Shapes(count=100, seed=0), image_size=16, validation=0.2, max_skipped=0.0, cache=tmp_path
    )
    whole, some = data.split("train"), data.spread("train", 10)
    assert len(some) == 10
    assert set(some) <= set(whole)
    assert some[-1] > whole[int(0.8 * len(whole))]
    assert (data.spread("train", 10**6) == whole).all()
