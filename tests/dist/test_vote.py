"""What one process wants all do, one call later and at the same call."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from genzoo.machine.distributed import Vote

RANK = """
import json, sys, time
import torch.distributed as dist
from genzoo.machine import distributed
distributed.join(gpu=False)
vote, heard = distributed.Vote(), []
for step, wanted in enumerate(json.loads(sys.argv[1])):
    time.sleep(0.05 * distributed.rank())  # they need not come at the same time
    heard.append(vote(wanted))
left = vote.close()
distributed.barrier()
distributed.leave()
print(json.dumps([heard, left]))
"""


def heard(*wanted: list[bool]) -> list[list[object]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = []
    for rank, wishes in enumerate(wanted):
        own = {
            "RANK": str(rank), "WORLD_SIZE": str(len(wanted)), "LOCAL_RANK": str(rank),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        ranks.append(
            subprocess.Popen(
                [sys.executable, "-c", RANK, json.dumps(wishes)],
                env={**os.environ, **own},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    return [json.loads(rank.communicate(timeout=120)[0]) for rank in ranks]


@pytest.mark.dist
def test_all_hear_the_same_wish_once_and_a_call_later() -> None:
    no, yes = False, True
    # The first wants something at its third call, and until it is done; the other at the last.
    first, second = heard([no, no, yes, yes, no, no, no], [no, no, no, no, no, no, yes])
    assert first == second == [[no, no, no, yes, no, no, no], yes]


def test_a_process_by_itself_knows_at_once() -> None:
    vote = Vote()
    assert [vote(wanted) for wanted in (False, True, True)] == [False, True, True]
    assert not vote.close()
