"""How a command handles Ctrl-C, SIGTERM and a scheduler's warnings.

A signal ends the command at once, by an exception. A training defers signals and polls for them,
because it writes a checkpoint first.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from genzoo.machine import distributed
from genzoo.machine.console import status

# Slurm's --signal= warns with SIGUSR1 or SIGUSR2 before it ends a job.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
ECHO = 0.5  # seconds in which a second signal counts as a repetition of the first


class Interrupted(BaseException):
    """A signal ends the command; no `Exception`, so that nothing takes it for a failure.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def status(self) -> int:
        """The exit status, as shells count it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number


class _State:
    received: int | None = None
    raised = False
    since = 0.0
    listening = 0
    held = False


_state = _State()


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Within, signals raise `Interrupted`; outside the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if not _state.listening:
        _state.received, _state.held, _state.raised = None, False, False
    before = {number: signal.getsignal(number) for number in ENDING}
    _state.listening += 1
    listen()
    try:
        yield
    finally:
        _state.listening -= 1
        for number, handler in before.items():
            signal.signal(number, handler)


def listen() -> None:
    """Restore the handlers that a library replaced; ignored signals stay ignored."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _arrived)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Within, signals are only noted: see `received`."""
    before, _state.held = _state.held, True
    try:
        yield
    finally:
        _state.held = before


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A part within `held` that a signal may interrupt; an earlier signal does so at once.

    Raises:
        Interrupted: on a signal.
    """
    before, _state.held = _state.held, False
    try:
        if _state.received is not None:
            raise Interrupted(_state.received)
        yield
    except Interrupted:
        _state.raised = False  # a later error is not the signal's
        raise
    finally:
        _state.held = before


def received() -> int | None:
    """The first signal that came, or None."""
    return _state.received


def after(error: BaseException) -> BaseException:
    """The signal's exception where it caused an error, otherwise the error itself.

    Code that a signal interrupts may fail in its cleanup, and that error hides the signal's.
    """
    if _state.raised and _state.received is not None and isinstance(error, Exception):
        return Interrupted(_state.received)
    return error


def in_worker(_: int = 0) -> None:
    """Ignore the training's signals in a data loader's process, until the training ends it.

    A process that is not ended within a minute ends itself.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(60))


def _arrived(number: int, frame: FrameType | None) -> None:
    if _state.received is None:
        _state.received, _state.since = number, time.monotonic()
        if not _state.held:
            _state.raised = True
            raise Interrupted(number)
        with contextlib.suppress(OSError):  # the terminal may be gone
            status("stopping after this step; press Ctrl-C again to stop at once")
    elif number == signal.SIGINT and time.monotonic() - _state.since > ECHO:
        _end(number)


def _end(number: int) -> None:
    """End at once, without waiting or cleaning up."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        if not distributed.launched():  # otherwise the parent process prints it
            print("genzoo: interrupted", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(128 + number)
