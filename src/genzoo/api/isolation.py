"""What a call from Python leaves as it found it: the terminal and the global generators."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch

from genzoo.machine.console import silence


@contextlib.contextmanager
def undisturbed(*, verbose: bool) -> Iterator[None]:
    """Say nothing unless asked, and give the global generators their states back.

    Building a network draws its initial weights from them, and some modules draw from them when
    they are first imported. Numbers of images never come from there.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with silence(not verbose), torch.random.fork_rng(devices=list(devices)):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
