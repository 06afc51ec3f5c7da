"""One process of a run: `python -m genzoo.command.rank config.yaml`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from genzoo.command.failures import RANK_ERRORS, note_failure
from genzoo.command.parser import Parser
from genzoo.config.objects import target
from genzoo.config.paths import use_own
from genzoo.config.values import read
from genzoo.core.errors import GenzooError
from genzoo.machine import cpu, distributed, signals
from genzoo.machine.signals import Interrupted
from genzoo.run.devices import gpus


def carry_out(config: Path) -> None:
    """One rank: read the job's configuration and run it."""
    distributed.end_with_parent()
    cfg = read(config)
    use_own(map(Path, cfg.run.config_dirs))
    cpu.apply(cfg.cpu, processes=distributed.world())
    signals.listen()
    try:
        distributed.join(gpu=gpus(cfg) > 0)
        target(cfg.task._target_)(cfg)
        distributed.leave()
    except BaseException as raised:
        error = signals.after(raised)
        if cfg.debug == "traceback" or isinstance(error, SystemExit):
            raise
        status = error.status if isinstance(error, (GenzooError, Interrupted)) else 1
        if not isinstance(error, Interrupted):
            with contextlib.suppress(OSError):
                note_failure(error, status, config.parent / RANK_ERRORS)
        os._exit(status)  # the other ranks may be waiting in a collective; do not wait for them


if __name__ == "__main__":
    parser = Parser(
        prog="python -m genzoo.command.rank",
        description="One process of a run; genzoo starts them itself (trainer.processes=2).",
    )
    parser.add_argument("config", type=Path, help="config.yaml in the run's folder")
    arguments = parser.parse_args()
    if not arguments.config.is_file():
        parser.error(f"there is no file {arguments.config}")
    carry_out(arguments.config)
