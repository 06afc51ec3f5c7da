"""Parsers of the smaller command lines, whose errors are one line, too."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """argparse's, with errors in one line (exit status 2) instead of the usage."""

    def error(self, message: str) -> NoReturn:
        """Print the error, and exit."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def whole(least: int) -> Callable[[str], int]:
    """For the argument `type`: whole numbers from `least` on."""

    def number(word: str) -> int:
        if not word.lstrip("+-").isdecimal() or int(word) < least:
            raise argparse.ArgumentTypeError(f"{word!r} is no whole number from {least} on")
        return int(word)

    return number


def positive(word: str) -> float:
    """For the argument `type`: numbers above 0."""
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{word!r} is no number above 0")
    return value
