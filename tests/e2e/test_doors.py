"""Every `python -m` answers `--help`, and says in one line what it does not understand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from genzoo.command.parser import Parser, positive, whole
from tests.shell import Result

Shell = Callable[..., Result]
ROOT = Path(__file__).parents[2]
TREES = {
    "src": ROOT / "src", "bench": ROOT, "experiments": ROOT, "tests": ROOT, "tools": ROOT
}  # fmt: skip
# What tests start in a process of its own, and nobody types.
OF_TESTS = ("tests.study", "tests.ranks")
# Those that need something to begin with: what a stray word stands for is checked, too.
STRAY = {"genzoo": "nonsense=1", "genzoo.command.rank": "nowhere.yaml"}


def doors() -> list[str]:
    """Modules that are run: packages' own, and files with a main part or a parser."""
    found = []
    for tree, base in TREES.items():
        for path in sorted((ROOT / tree).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            run = path.name == "__main__.py" or '\nif __name__ == "__main__"' in text
            parses = "\nparser.parse_args" in text or " = parser.parse_args" in text
            if (run or (parses and "\ndef " not in text)) and not path.name.startswith("test_"):
                module = ".".join(path.relative_to(base).with_suffix("").parts)
                found.append(module.removesuffix(".__main__"))
    return [module for module in found if module not in OF_TESTS]


def test_the_doors_are_found() -> None:
    found = doors()
    for known in (
        "genzoo", "genzoo.command.rank", "bench", "bench.one", "bench.cpu_worker", "bench.unets",
        "bench.gpu", "bench.peers", "bench.peers.one", "experiments", "experiments.guidance",
        "experiments.gan_balance", "tests.wheel_check", "tools.plan",
    ):  # fmt: skip
        assert known in found


@pytest.mark.parametrize("module", doors())
def test_a_door_answers(module: str, shell: Shell) -> None:
    # Of what the others are forked from, this one is a part.
    options = {"module": module, "cwd": ROOT, "fresh": module == "genzoo.command.rank"}
    asked = shell("--help", **options)
    assert asked.status == 0, asked
    assert asked.err == ""
    assert len(asked.out.splitlines()) > 1
    wrong = [("--nonsense",), ("--nonsense=1", "nonsense"), (STRAY.get(module, "nonsense"),)]
    for arguments in wrong:
        answer = shell(*arguments, **options)
        assert answer.status == 2, (arguments, answer)
        assert answer.out == "", arguments
        assert len(answer.err.splitlines()) == 1, (arguments, answer)
        assert module in answer.err
        assert "Traceback" not in answer.err


@pytest.mark.parametrize("module", ["genzoo.command.parser", "bench"])
def test_wrong_numbers(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog=f"python -m {module}")
    parser.add_argument("--jobs", type=whole(1))
    parser.add_argument("--minutes", type=positive)
    assert parser.parse_args(["--jobs", "3", "--minutes", "0.5"]).jobs == 3
    for wrong in (["--jobs", "0"], ["--jobs", "1.5"], ["--jobs=-1"], ["--jobs", "²"],
                  ["--minutes", "0"], ["--minutes", "nan"], ["--minutes", "x"]):  # fmt: skip
        with pytest.raises(SystemExit) as end:
            parser.parse_args(wrong)
        assert end.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"python -m {module}: argument --")
        assert line.endswith(f"see python -m {module} --help")
