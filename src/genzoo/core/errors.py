"""The errors a user sees: one line with the problem and what to type instead."""

from __future__ import annotations

import unicodedata

JOINERS = "\u200c\u200d"  # invisible, but part of words and emoji


def printable(text: str) -> str:
    """Text as one line without control characters, which are shown as escapes.

    Messages quote names and contents of files from others, which could control the terminal.
    """
    return "".join(
        char
        if char.isprintable() or char in JOINERS or unicodedata.category(char) == "Zs"
        else char.encode("unicode_escape").decode()
        for char in text
    )


class GenzooError(Exception):
    """An error that the user can fix; shown without a traceback.

    Args:
        problem: what is wrong, without a full stop.
        remedy: what to type or do instead, without a full stop.
    """

    status = 1

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}; {remedy}")

    def __reduce__(self) -> tuple[type[GenzooError], tuple[str, str]]:
        return type(self), (self.problem, self.remedy)


class UsageError(GenzooError):
    """The command line or the configuration cannot be carried out as written (exit status 2)."""

    status = 2


class Unsupported(UsageError):
    """A model is asked for something that it cannot do.

    Args:
        what: the problem, e.g. ``"autoencoder has no likelihood"``.
        instead: what to use.
    """

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(what, instead)
