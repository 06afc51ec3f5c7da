"""One case in a process of its own: malloc first, as `genzoo` does it, then the case."""

from __future__ import annotations

import json
import sys

from genzoo.cpu import keep_freed_memory

if sys.argv[1] != "cpu_switches":
    keep_freed_memory()

from bench.cases import CASES

print(json.dumps(CASES[sys.argv[1]]()))
