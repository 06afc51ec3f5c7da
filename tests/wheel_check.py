"""Build the wheel, install it into an empty environment, train and compare from another folder.

`make wheel-check`. It installs everything anew, so it is no part of `make test`, which runs the
unpacked wheel instead (tests/e2e/test_wheel.py).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from genzoo.command.parser import Parser
from tests.small import SMALL

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Raise where a step fails."""
    Parser(prog="python -m tests.wheel_check", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", name, cwd=ROOT)
        (wheel,) = folder.glob("*.whl")
        venv.create(folder / "venv", with_pip=True)
        python = str(folder / "venv" / "bin" / "python")
        run(python, "-m", "pip", "install", "-c", str(ROOT / "constraints.txt"), str(wheel))
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        genzoo = str(folder / "venv" / "bin" / "genzoo")
        run(genzoo, "--help", cwd=elsewhere)
        run(genzoo, "-m", "model=autoencoder,vae", *SMALL, "hydra.sweep.dir=sweep", cwd=elsewhere)
        assert (elsewhere / "sweep" / "comparison.html").is_file()
    print("the wheel works")  # noqa: T201


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a command and let its output through."""
    subprocess.run(command, cwd=cwd, check=True)


if __name__ == "__main__":
    main()
