"""One case in a process of its own: malloc first, as `genzoo` does it, then the case."""

from __future__ import annotations

import json

from genzoo.command.parser import Parser
from genzoo.machine.cpu import keep_freed_memory

parser = Parser(prog="python -m bench.one", description=__doc__)
parser.add_argument("case")
name = parser.parse_args().case
if name != "cpu_switches":
    keep_freed_memory()

from bench.cases import CASES  # noqa: E402 - after malloc was told

if name not in CASES:
    parser.error(f"there is no case {name}; there are {', '.join(CASES)}")
print(json.dumps(CASES[name]()))
