"""`python -m experiments` lists the studies."""

from __future__ import annotations

from pathlib import Path

from genzoo.command.parser import Parser

STUDIES = sorted(file.parent.name for file in Path(__file__).parent.glob("*/study.yaml"))

parser = Parser(prog="python -m experiments", description=__doc__)
parser.parse_args()
parser.error(f"name a study: {', '.join(f'python -m experiments.{name}' for name in STUDIES)}")
