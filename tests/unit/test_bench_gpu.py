"""`make gpu-check`'s own code, tried on the CPU: what passes, and that a fault is found."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch

from bench.gpu import __main__ as check
from bench.gpu import families, numerics, speed
from bench.gpu.bench import Bench, Failed, command
from genzoo.core.noise import Noise


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(device=torch.device("cpu"), folder=tmp_path, deadline=time.monotonic() + 600)


def test_noise_is_the_cpus(bench: Bench) -> None:
    assert not numerics.noise(bench)["failures"]


def test_other_noise_is_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    normal = Noise.normal
    calls = iter(range(9))
    monkeypatch.setattr(Noise, "normal", lambda *a: normal(*a) + 1e-3 * next(calls))
    assert "normal" in numerics.noise(bench)["failures"][0]


def test_a_flow_that_forgets_is_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not numerics.flow_inverse(bench)["failures"]
    from genzoo.models.flow import Flow

    rebuilt = Flow.reconstruct
    monkeypatch.setattr(Flow, "reconstruct", lambda *a: rebuilt(*a) + 0.01)
    assert len(numerics.flow_inverse(bench)["failures"]) == 2


def test_throughput_is_a_share_of_the_peak(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "ROUNDS", 1)
    monkeypatch.setattr(speed, "SIDE", 16)
    monkeypatch.setattr("bench.unets.MULTIPLES", (1, 2))
    monkeypatch.setattr("bench.unets.BLOCKS", 1)
    found = speed.throughput(bench)
    assert not found["failures"]
    assert 0 < found["step_both_share_of_peak"] < 1.5
    assert found["step_plain_over_plain"] == 1


def test_a_family_trains_resumes_and_samples(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "names", lambda: ["vae"])
    monkeypatch.setattr(families, "STEPS", 2)
    found = families.families(bench)
    assert not found["failures"]
    assert found["families"]["vae"]["images_seen"] == 2 * 64


def test_a_command_that_fails_is_told(bench: Bench) -> None:
    with pytest.raises(Failed, match="no model=vea"):
        command("model=vea")


def test_one_check_that_breaks_leaves_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(_: Bench) -> dict[str, object]:
        raise ValueError("no luck")

    monkeypatch.setitem(check.CHECKS, "throughput", breaks)
    found = check.run(bench, ["throughput", "noise"])
    json.dumps(found)
    checks = found["checks"]
    assert checks["throughput"]["failures"] == ["ValueError: no luck"]
    assert not checks["noise"]["failures"]
    assert "throughput: failed" in capsys.readouterr().out
