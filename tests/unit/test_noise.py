from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from genzoo.core import noise as module
from genzoo.core import philox
from genzoo.core.noise import Noise, split_seed

Draw = Callable[[Noise], Tensor]
DRAWS: dict[str, Draw] = {
    "normal": lambda noise: noise.normal(3, 5, 7),
    "uniform": lambda noise: noise.uniform(101),
    "integers": lambda noise: noise.integers(1000, 9),
    "one normal": lambda noise: noise.normal(),
}
every_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())


@pytest.fixture(params=[True, False], ids=["kernel", "operations"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Torch's kernel where this torch has one, and the operations that need none."""
    if not request.param:
        monkeypatch.setattr(philox, "KERNEL", False)
    return bool(request.param)


@given(st.integers(0, 2**63 - 1), st.text(max_size=8), st.text(max_size=8))
def test_seeds_of_different_names_differ(seed: int, a: str, b: str) -> None:
    assert 0 <= split_seed(seed, a) < 2**63
    assert (split_seed(seed, a) == split_seed(seed, b)) == (a == b)


@every_draw
def test_a_sample_depends_on_its_own_number_alone(draw: Draw, way: bool) -> None:
    together = draw(Noise.of(3, [4, 5, 6]))
    assert torch.equal(together[1:2], draw(Noise.of(3, torch.tensor([5]))))
    assert torch.equal(together[1:], draw(Noise.of(3, [9, 4, 5, 6])[2:]))
    assert torch.equal(together.flip(0), draw(Noise.of(3, iter([6, 5, 4]))))
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(draw(Noise.of(4, [5])), together[1:2])
    assert not torch.equal(draw(Noise.of(3, [5], "name")), together[1:2])


def test_blocks_do_not_show(way: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn() -> list[Tensor]:
        noise = Noise.of(1, range(11))
        shapes: list[tuple[int, ...]] = [(), (3,), (17,), (3, 9, 9)]
        return [
            one
            for shape in shapes
            for one in (noise.normal(*shape), noise.uniform(*shape), noise.integers(7, *shape))
        ]

    whole = drawn()
    for block in (8, 40, 64, 200, 1024):
        monkeypatch.setattr(module, "BLOCK", block)
        assert all(torch.equal(a, b) for a, b in zip(whole, drawn(), strict=True))


@every_draw
def test_kernel_and_operations_draw_the_same(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = draw(Noise.of(5, range(30)).child("a", 1))
    monkeypatch.setattr(philox, "KERNEL", False)
    assert torch.equal(draw(Noise.of(5, range(30)).child("a", 1)), fast)


def test_numbers_stay_what_they_are() -> None:
    """Another number here is another training: then CHANGELOG, section Numbers, says so."""
    noise = Noise.of(7, [0, 2**40]).child("x")
    assert noise.seeds.tolist() == [7219148230623574734, 589350246111913719]
    assert noise.integers(1000, 3).tolist() == [[223, 421, 458], [759, 980, 564]]
    uniform = [
        [0.5740330219268799, 0.28530025482177734],
        [0.7402603030204773, 0.24704033136367798],
    ]
    assert noise.uniform(2).tolist() == uniform
    normal = torch.tensor([[0.8814198, 0.7088885], [0.5788816, 0.6984895]])
    torch.testing.assert_close(noise.normal(2), normal, rtol=0, atol=1e-5)


def test_streams_go_on_and_children_do_not_disturb_them() -> None:
    noise, same = Noise.of(0, [1, 2]), Noise.of(0, [1, 2])
    first = noise.normal(3)
    noise.child("mask").uniform(5)
    assert torch.equal(first, same.normal(3))
    assert torch.equal(noise.normal(3), same.normal(3))
    assert not torch.equal(noise.child("a").normal(3), noise.child("b").normal(3))
    assert torch.equal(noise[:].normal(3), first)  # a part begins anew


def test_no_words_are_used_twice() -> None:
    noise = Noise.of(0, range(50))
    family = [noise, noise.child("a"), noise.child("b"), noise.child("a").child("b")]
    family += [noise.child("a", "b"), noise.child(), Noise.of(1, range(50))]
    seen = torch.cat([one.integers(2**31, 5).flatten() for one in family for _ in range(8)])
    # 14,000 numbers of 31 bits: 0.05 pairs would be alike by chance.
    assert len(seen.unique()) >= len(seen) - 1
    twice = torch.cat([seen, noise[:].integers(2**31, 5).flatten()])
    assert len(twice.unique()) < len(twice) - 1


def test_a_batch_of_none_and_a_draw_of_none() -> None:
    assert Noise.of(0, []).child("a").normal(3, 2).shape == (0, 3, 2)
    assert Noise.of(0, [1, 2]).uniform(0, 4).shape == (2, 0, 4)
    assert len(Noise.of(0, range(5))[1:4:2]) == 2


@pytest.mark.parametrize("high", [0, -1, 2**31 + 1])
def test_integers_of_no_range_are_refused(high: int) -> None:
    with pytest.raises(ValueError, match=r"between 1 and 2\^31"):
        Noise.of(0, [1]).integers(high)


def test_whole_numbers_fill_their_range() -> None:
    assert Noise.of(0, range(9)).integers(1, 9).unique().tolist() == [0]
    high = Noise.of(0, range(500)).integers(2**31, 40)
    assert 0 <= int(high.min()) < 2**20
    assert 2**31 - 2**20 < int(high.max()) < 2**31


class Operations(TorchDispatchMode):
    """Counts what is asked of torch, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.counts[str(func)] += 1
        return func(*args, **(kwargs or {}))


def test_there_is_no_loop_over_samples(way: bool) -> None:
    def asked(samples: int) -> Counter[str]:
        with Operations() as operations:
            noise = Noise.of(0, range(samples), "train").child("a")
            noise.normal(3, 4, 4)
            noise.uniform()
            noise[1:].integers(9)
        return operations.counts

    assert asked(3) == asked(500)
    assert sum(asked(3).values()) > 20


def test_nothing_is_brought_to_the_host(way: bool) -> None:
    """On fake CUDA tensors reading a value raises, and so does a tensor left on the CPU."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        for indices in (range(4), torch.arange(4), torch.arange(4, device="cuda")):
            noise = Noise.of(0, indices, "train", 17, device="cuda").child("a")
            for draw in DRAWS.values():
                drawn = draw(noise[1:])
                assert drawn.device.type == "cuda"
                assert len(drawn) == 3
        with pytest.raises(DataDependentOutputException):
            noise.seeds.tolist()


@pytest.mark.gpu
@every_draw
def test_a_gpu_draws_what_the_cpu_draws(draw: Draw, way: bool) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    ours = draw(Noise.of(2, range(100)).child("a"))
    theirs = draw(Noise.of(2, range(100), device="cuda").child("a")).cpu()
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)


def test_extreme_words_give_numbers_in_range(monkeypatch: pytest.MonkeyPatch) -> None:
    words = torch.tensor([0, 1, -1, 2**31 - 1, -(2**31), -(2**31) + 1, 255, -256])

    def fill(out: Tensor, at: Tensor) -> Tensor:
        radius, angle = (w.flatten() for w in torch.meshgrid(words, words, indexing="ij"))
        every = torch.cat([radius, angle])[: out.shape[1]]
        return out.copy_(every.expand_as(out))

    noise = Noise.of(0, [0])
    monkeypatch.setattr(module, "words_", fill)
    normal = noise.normal(2 * len(words) ** 2)
    assert normal.isfinite().all()
    assert normal.abs().max() < 6.7
    assert normal.abs().max() > 6.6
    uniform = noise.uniform(2 * len(words) ** 2)
    assert uniform.min() == 0
    assert uniform.max() == 1 - 2**-24
    assert noise.integers(2**31, 128).max() == 2**31 - 1


def test_it_is_float32_whatever_the_default_is() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        noise = Noise.of(0, [0])
        assert noise.normal(2).dtype == noise.uniform(2).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_memory_in_use_does_not_grow_with_the_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside its answer a draw keeps at most a few blocks."""
    monkeypatch.setattr(module, "BLOCK", 1024)
    made: list[int] = []
    empty, new_empty = torch.empty, Tensor.new_empty

    def noted(tensor: Tensor) -> Tensor:
        made.append(tensor.numel() * tensor.element_size())
        return tensor

    monkeypatch.setattr(torch, "empty", lambda *a, **k: noted(empty(*a, **k)))
    monkeypatch.setattr(Tensor, "new_empty", lambda self, *a: noted(new_empty(self, *a)))
    noise = Noise.of(0, range(8))
    made.clear()
    answer = noise.normal(3, 64, 64)
    size = answer.numel() * 4
    assert size in made
    assert sum(made) - size < 3 * 4 * 1024 + 24 * 8 * 2 * 16
    assert math.isclose(float(answer.std()), 1, abs_tol=0.02)
