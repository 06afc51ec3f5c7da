"""Which of how many processes this is, and the little that they say to each other.

The processes are started by `genzoo.launch` or by torchrun; both describe themselves through the
environment variables RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """The number of this process on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def world() -> int:
    """How many processes work on this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launched() -> bool:
    """Whether somebody has already started one process a rank."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def join(*, gpu: bool) -> None:
    """Meet the other processes, once; nothing to do for a single one."""
    import torch
    import torch.distributed as dist

    if world() > 1 and not dist.is_initialized():
        if gpu:
            torch.cuda.set_device(local_rank())
        # Some metrics keep what they gather on the CPU, which NCCL does not.
        backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=30))


def leave() -> None:
    """Part from the other processes in good order."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def barrier() -> None:
    """Wait until every process is here."""
    if world() > 1:
        import torch.distributed as dist

        dist.barrier()


def from_first(value: T) -> T:
    """The value that the process of rank 0 has."""
    if world() == 1:
        return value
    import torch.distributed as dist

    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


class Vote:
    """Whether any process wants something, known one call later.

    Clocks and signals differ between processes, and what they lead to has to be done by all at
    once. Waiting for all answers at every training step would cost each step a round trip and
    leave a GPU idle, so the answers travel while the next step is computed. They travel between
    CPUs, and no GPU waits. All processes call this equally often.
    """

    def __init__(self) -> None:
        self._asked: tuple[Any, Any] | None = None

    def __call__(self, wanted: bool) -> bool:
        """What any process wanted at the call before; a process by itself knows at once.

        After a yes the next call says no: what was wanted has been done.
        """
        if world() == 1:
            return wanted
        import torch
        import torch.distributed as dist

        if self._asked is not None and self.close():
            return True
        answer = torch.tensor([wanted], dtype=torch.uint8)
        work = dist.all_reduce(answer, op=dist.ReduceOp.MAX, async_op=True)
        self._asked = answer, work
        return False

    def close(self) -> bool:
        """What was wanted at the last call; to be awaited before the processes part."""
        if self._asked is None:
            return False
        answer, work = self._asked
        work.wait()
        self._asked = None
        return bool(answer)
