"""CPU switches that must be set before torch is imported.

Convolutional networks on CPUs spend much of their time in page faults: glibc's malloc maps every
large tensor anew and unmaps it. And idle OpenMP threads spin, so that one other busy process slows
two threads down many times; if they sleep at once instead, waking them takes much of a small
network's time, so they spin for a moment first. `make bench` measures all of this.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Collection, Mapping
from typing import Any

# Parameters of mallopt, from glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4

# Variables that OpenMP reads when torch is imported, and their settings here.
OPENMP = {
    "OMP_WAIT_POLICY": "wait_policy",
    "GOMP_SPINCOUNT": "spin",
    "OMP_NUM_THREADS": "threads",
}
# Variables that this process has set, and their earlier values: a later job of a sweep does not
# inherit an earlier one's choice.
_ours: dict[str, tuple[str, str | None]] = {}


def apply(
    settings: Mapping[str, Any], *, processes: int = 1, typed: Collection[str] = ()
) -> list[str]:
    """Apply the section `cpu` of the configuration.

    A variable of the environment takes precedence, unless the setting was typed.

    Args:
        settings: `keep_memory`, `wait_policy`, `spin` and `threads` of the configuration.
        processes: how many processes share this machine's cores.
        typed: keys of `settings` that the user typed; `threads` counts as typed whenever it has
            a value.

    Returns:
        A description of each applied switch.
    """
    done, before = [], {name: os.environ.get(name) for name in OPENMP}
    if settings["keep_memory"] and keep_freed_memory():
        done.append("malloc keeps freed blocks")
    shared = max(1, len(os.sched_getaffinity(0)) // processes) if processes > 1 else None
    words = {
        "OMP_WAIT_POLICY": "OpenMP waits {}",
        "GOMP_SPINCOUNT": "after {} turns",
        "OMP_NUM_THREADS": "{} threads a process",
    }
    for name, key in OPENMP.items():
        given, value = _given(name), settings[key]
        wanted = key in typed or (key == "threads" and value is not None)
        if value is None and key == "threads":
            value = shared
        if value is None or (given is not None and not wanted):
            if given is not None:
                done.append(f"{name}={given} as in the environment")
            _restore(name, given)
            continue
        os.environ[name] = str(value)
        _ours[name] = str(value), given
        instead = given not in (None, str(value))
        done.append(words[name].format(value) + (f" instead of {name}={given}" if instead else ""))
    changed = any(os.environ.get(name) != value for name, value in before.items())
    if "torch" in sys.modules and changed:
        done.append("(torch was imported before: the OpenMP switches come too late)")
    return done


def _given(name: str) -> str | None:
    """The environment's value, without what an earlier job of this process has set."""
    now = os.environ.get(name)
    ours, before = _ours.get(name, (None, None))
    return before if name in _ours and now == ours else now


def _restore(name: str, given: str | None) -> None:
    _ours.pop(name, None)
    if given is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = given


def keep_freed_memory() -> bool:
    """Let glibc keep freed blocks instead of returning each to the kernel.

    Returns:
        Whether it was done: False where the C library has no `mallopt`, or where the user has
        already chosen through GLIBC_TUNABLES or another allocator.
    """
    if os.environ.get("GLIBC_TUNABLES") or os.environ.get("LD_PRELOAD"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return all(
        mallopt(parameter, value) == 1
        for parameter, value in (
            (M_MMAP_MAX, 0),
            (M_TRIM_THRESHOLD, 2**31 - 1),
            (M_TOP_PAD, 64 * 2**20),
        )
    )
