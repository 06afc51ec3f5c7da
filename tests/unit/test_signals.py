"""What a signal does: by itself, while signals are held back, and the second time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from genzoo.machine import signals
from genzoo.machine.signals import ENDING, Interrupted


@pytest.fixture
def heard() -> Iterator[None]:
    """Every signal has its default, whatever the tests were started by: nohup ignores SIGHUP."""
    before = {each: signal.signal(each, signal.SIG_DFL) for each in ENDING}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_what_runs_by_an_exception(number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in ENDING}
    with pytest.raises(Interrupted) as caught, signals.listening():
        os.kill(os.getpid(), number)
    assert caught.value.status == 128 + number
    assert str(caught.value) == number.name
    assert not isinstance(caught.value, Exception)  # nothing takes it for a failure
    assert {each: signal.getsignal(each) for each in ENDING} == before


def test_held_signals_are_noted_and_a_released_part_is_cut_off(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with signals.listening(), signals.held():
        assert signals.received() is None
        with pytest.raises(Interrupted), signals.interruptible():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received() == signal.SIGTERM
        with pytest.raises(Interrupted), signals.interruptible():  # it came before
            raise AssertionError
    with signals.listening(), signals.held():
        assert signals.received() is None
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)  # a scheduler's second word does not hurry
        assert signals.received() == signal.SIGUSR1
    assert capsys.readouterr().out.count("stopping after this step") == 1


def stumble(error: Exception) -> None:
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        raise error


def test_an_error_on_the_way_out_is_the_signals() -> None:
    error = ValueError("half built")
    with signals.listening():
        assert signals.after(error) is error
        with pytest.raises(ValueError, match="half built"):
            stumble(error)
        found = signals.after(error)
        assert isinstance(found, Interrupted)
        assert found.status == 143
    with signals.listening(), signals.held():
        with pytest.raises(Interrupted), signals.interruptible():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signals.after(error) is error  # of what is done after a part was cut off


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with signals.listening():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.received() is None
    finally:
        signal.signal(signal.SIGHUP, before)


HOLDING = """
import signal, sys, time
from genzoo.machine import signals
with signals.listening(), signals.held():
    print("ready", flush=True)
    time.sleep(60)
    time.sleep(60)
"""


def test_a_second_ctrl_c_ends_at_once_but_not_an_echo_of_the_first() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert "stopping after this step" in process.stdout.readline()
    process.send_signal(signal.SIGINT)  # the terminal's and a wrapper's
    time.sleep(signals.ECHO + 0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error == "genzoo: interrupted\n"


WORKING = """
import signal, time
from genzoo.machine import signals
signals.in_worker()
print("ready", flush=True)
time.sleep(1)
print("worked", flush=True)
"""


def test_a_loaders_process_works_on() -> None:
    process = subprocess.Popen([sys.executable, "-c", WORKING], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for number in ENDING:
        process.send_signal(number)
    assert process.communicate(timeout=30)[0] == "worked\n"
    assert process.returncode == 0
