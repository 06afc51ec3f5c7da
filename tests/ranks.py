"""`python -m tests.ranks ...`: `python -m genzoo ...` whose ranks are forked.

genzoo starts a new interpreter for each rank, which imports for longer than a small training
takes. Here torch's launcher is given a function instead, and nothing else is replaced.
"""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from typing import Any

from torch.distributed.launcher import api

launch = api.elastic_launch


def forked(settings: api.LaunchConfig, _: str) -> api.elastic_launch:
    return launch(replace(settings, start_method="fork"), rank)


def rank(_: str, module: str, *arguments: str) -> Any:
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    api.elastic_launch = forked
    runpy.run_module("genzoo", run_name="__main__", alter_sys=True)
