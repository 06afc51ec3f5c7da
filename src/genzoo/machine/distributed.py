"""The rank of this process, the number of processes, and their communication.

The processes are started by `genzoo.command.launch` or by torchrun; both describe themselves
through the environment variables RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT.
Other programs and interactive allocations set some of these as well: a launch is recognised only
if the set is complete, and refused unless it matches the configuration.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from datetime import timedelta
from typing import Any, TypeVar

from genzoo.core.errors import UsageError

T = TypeVar("T")
PARENT = "GENZOO_PARENT"  # in the environment of ranks: the process that started them
SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl

LAUNCH = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# Variables that mean several processes where their value is larger than these.
ALONE = {"WORLD_SIZE": 1, "RANK": 0, "LOCAL_RANK": 0, "NODE_RANK": 0, "GROUP_RANK": 0}
# Of launchers that genzoo does not support: the number of copies of this command.
COPIES = {
    "SLURM_STEP_NUM_TASKS": "srun",
    "OMPI_COMM_WORLD_SIZE": "mpirun",
    "PMI_SIZE": "mpiexec",
}


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ["RANK"]) if launched() else 0


def local_rank() -> int:
    """The number of this process on its machine, from 0."""
    return int(os.environ["LOCAL_RANK"]) if launched() else 0


def world() -> int:
    """How many processes work on this run."""
    return int(os.environ["WORLD_SIZE"]) if launched() else 1


def launched() -> bool:
    """Whether a launcher has already started one process a rank."""
    return all(os.environ.get(name) for name in LAUNCH)


def follows_another() -> bool:
    """Whether torchrun started this process as a further rank of the same command."""
    return launched() and "TORCHELASTIC_RUN_ID" in os.environ and local_rank() > 0


def check_environment() -> str | None:
    """Refuse variables that mean several processes, but not how they connect.

    Returns:
        A remark for the user, where an allocation has room for more than this process.

    Raises:
        UsageError: with the variables and a remedy.
    """
    for name, least in ALONE.items():
        value = os.environ.get(name)
        if not value:
            continue
        if not value.isdecimal():
            raise UsageError(
                f"{name}={value} is in the environment and is no number", f"{unset(name)}"
            )
        missing = [other for other in LAUNCH if not os.environ.get(other)]
        if missing and int(value) > least:
            raise UsageError(
                f"{name}={value} is in the environment without {', '.join(missing)}, so it is "
                "another program's or of half a launch",
                f"{unset(name)}, or start the processes with torchrun",
            )
    for name, launcher in COPIES.items():
        value = os.environ.get(name, "")
        if not launched() and value.isdecimal() and int(value) > 1:
            raise UsageError(
                f"{name}={value} says that {launcher} started {value} copies of this command, "
                "which would all do the same",
                "start one with trainer.gpus= or trainer.processes=, use torchrun, or "
                f"{unset(name)}",
            )
    tasks = os.environ.get("SLURM_NTASKS", "")
    if not launched() and tasks.isdecimal() and int(tasks) > 1:
        return f"SLURM_NTASKS={tasks} is not read: trainer.gpus= and trainer.processes= count here"
    return None


def check_launch(asked: int, *, for_what: str) -> None:
    """Refuse a launch whose number of processes is not the configuration's.

    Args:
        asked: processes on all machines.
        for_what: the keys that ask for them, or the task that runs in one.

    Raises:
        UsageError: with the number that would fit.
    """
    if not launched():
        return
    if not rank() < world() or local_rank() > rank():
        raise UsageError(
            f"RANK={rank()} WORLD_SIZE={world()} LOCAL_RANK={local_rank()} contradict one another",
            f"{unset('RANK', 'WORLD_SIZE', 'LOCAL_RANK')}, or start the processes with torchrun",
        )
    if world() != asked:
        raise UsageError(
            f"WORLD_SIZE={world()} says that {world()} processes were started, and {for_what} "
            f"is for {asked}",
            f"start as many, or {unset('RANK', 'WORLD_SIZE')} if they are another program's",
        )


def unset(*names: str) -> str:
    """The command that unsets variables."""
    return f"type: unset {' '.join(names)}"


def join(*, gpu: bool) -> None:
    """Join the process group, once; does nothing for a single process."""
    import torch
    import torch.distributed as dist

    if world() > 1 and not dist.is_initialized():
        if gpu:
            torch.cuda.set_device(local_rank())
        # Some metrics keep their state on the CPU, which NCCL cannot gather.
        backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=30))


def leave() -> None:
    """Leave the process group in good order."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def barrier() -> None:
    """Wait for every process."""
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
    """Whether any process votes yes, known one call later.

    Clocks and signals differ between processes, and all processes have to act on them at the same
    step. Waiting for all votes at every training step would cost each step a round trip and leave
    a GPU idle, so the votes are exchanged while the next step is computed, between CPUs. All
    processes call this equally often.
    """

    def __init__(self) -> None:
        self._asked: tuple[Any, Any] | None = None

    def __call__(self, wanted: bool) -> bool:
        """Whether any process voted yes at the previous call; a single process knows at once.

        After a yes the next call returns no: all have acted on it.
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
        """The votes of the last call; to be awaited before the processes leave."""
        if self._asked is None:
            return False
        answer, work = self._asked
        work.wait()
        self._asked = None
        return bool(answer)


def end_with_parent() -> None:
    """End at once when the process that started this rank is gone, however it ended.

    The results of orphans are not read, and the lock on the run's folder ended with the parent.
    """
    parent = int(os.environ.get(PARENT, "0"))
    if not parent:
        return
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    try:
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
    except (AttributeError, OSError):  # not Linux: only the thread
        return


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
