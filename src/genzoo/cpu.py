"""CPU switches that must be set before torch is imported.

Convolutional networks on CPUs spend much of their time in page faults: glibc's malloc maps every
large tensor afresh and gives it back. And idle OpenMP threads spin, so that one other busy process
slows two threads down many times; where they sleep at once instead, waking them takes a good part
of a small network's time, so they spin for a moment first. `make bench` measures all on the
machine at hand.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from typing import Any

# Parameters of mallopt, from glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4

OPENMP = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")  # read when torch is imported


def apply(settings: Mapping[str, Any], *, processes: int = 1) -> list[str]:
    """Set what the section `cpu` of the configuration asks for.

    Args:
        settings: `keep_memory`, `wait_policy`, `spin` and `threads` of the configuration.
        processes: how many processes share this machine's cores.

    Returns:
        What was done, in words, one entry a switch.
    """
    done, before = [], {name: os.environ.get(name) for name in OPENMP}
    if settings["keep_memory"] and keep_freed_memory():
        done.append("malloc keeps freed blocks")
    policy = settings["wait_policy"]
    if policy and os.environ.setdefault("OMP_WAIT_POLICY", str(policy)) == policy:
        done.append(f"OpenMP waits {policy}")
    spin = settings["spin"]
    if spin is not None and os.environ.setdefault("GOMP_SPINCOUNT", str(spin)) == str(spin):
        done.append(f"after {spin} turns")
    threads = settings["threads"]
    if threads is None and processes > 1:
        threads = max(1, len(os.sched_getaffinity(0)) // processes)
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        done.append(f"{threads} threads a process")
    changed = any(os.environ.get(name) != value for name, value in before.items())
    if "torch" in sys.modules and changed:
        done.append("(torch was imported before: the OpenMP switches come too late)")
    return done


def keep_freed_memory() -> bool:
    """Let glibc keep freed blocks instead of returning each to the kernel.

    Returns:
        Whether it was done: False where the C library has no `mallopt`, or where the person has
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
