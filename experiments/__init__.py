"""Studies: each tests one claim about generators by one command, with a verdict."""

import os

# Before torch is imported: idle threads of one run must not spin on the core of another.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
