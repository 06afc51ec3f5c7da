"""What may stand at a key: small rules that read a value, or say in one line why they do not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


class Refused(Exception):
    """A value that cannot stand at a key; says what is wrong with it, after "key=value"."""


@dataclass(frozen=True)
class Rule:
    """One kind of value.

    Attributes:
        words: what may stand here, after "write".
        read: the value as it is used (1e6 where a whole number is due is 1000000); raises
            `Refused`.
    """

    words: str
    read: Callable[[Any], Any]

    def __or__(self, other: Rule) -> Rule:
        """Either of two; the first one's reason is given where both refuse."""

        def read(value: Any) -> Any:
            try:
                return self.read(value)
            except Refused:
                try:
                    return other.read(value)
                except Refused:
                    pass
                raise

        return Rule(f"{self.words} or {other.words}", read)


def whole(least: int, most: int | None = None) -> Rule:
    """A whole number; 1e6 is one, and 2.5, true and "2" are none."""

    def read(value: Any) -> int:
        number = _number(value)
        if number != int(number):
            raise Refused("is no whole number")
        _within(number, least=least, most=most)
        return int(number)

    if most is not None:
        return Rule(f"a whole number from {least} to {most}", read)
    return Rule(f"a whole number {_from(least)}", read)


def number(
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> Rule:
    """A finite number within bounds."""

    def read(value: Any) -> Any:
        found = _number(value)
        _within(found, least=least, above=above, most=most, below=below)
        return value

    bounds = {"from": least, "above": above, "to": most, "below": below}
    limits = [f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None]
    return Rule(" ".join(["a number", *limits]), read)


def word(*choices: str) -> Rule:
    """One of some words."""

    def read(value: Any) -> str:
        if value not in choices or isinstance(value, bool):
            raise Refused("is none of the choices")
        return str(value)

    return Rule(choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}", read)


def text(what: str = "text", *, empty: bool = False, like: str | None = None) -> Rule:
    """Text; a whole number, which a sweep or a YAML file may make of it, is text too.

    Args:
        what: it is, for the remedy.
        empty: whether it may be.
        like: a regular expression that it matches.
    """

    def read(value: Any) -> str:
        if isinstance(value, bool | float) or not isinstance(value, str | int):
            raise Refused(f"is no {what.removeprefix('a ').removeprefix('an ')}")
        if not str(value).strip() and not empty:
            raise Refused("is empty")
        if like is not None and not re.fullmatch(like, str(value)):
            raise Refused("cannot be read")
        return str(value)

    return Rule(what, read)


def listed(
    of: Rule, *, least: int = 0, length: int | None = None, check: str | None = None
) -> Rule:
    """A list.

    Args:
        of: what stands in it.
        least: how many there are at least.
        length: how many there are exactly; None for any.
        check: "rising" for numbers of which none is below the one before.
    """

    def read(value: Any) -> list[Any]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise Refused("is no list")
        if len(value) < least:
            raise Refused("is too short a list")
        if length is not None and len(value) != length:
            raise Refused(f"has {len(value)} entries")
        entries = [_entry(of, entry) for entry in value]
        if check == "rising" and entries != sorted(entries):
            raise Refused("goes down")
        return entries

    count = f" of {length}" if length is not None else f" of {least} or more" if least else ""
    return Rule(f"a list{count}, each {of.words}", read)


def custom(words: str, fits: Callable[[Any], bool], *, why: str) -> Rule:
    """Numbers that a function accepts."""

    def read(value: Any) -> Any:
        if not fits(_number(value)):
            raise Refused(why)
        return value

    return Rule(words, read)


def _read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused("is neither true nor false")
    return value


def _read_null(value: Any) -> None:
    if value is not None:
        raise Refused("is not null")


FLAG = Rule("true or false", _read_flag)
NULL = Rule("null", _read_null)
SHARE = number(least=0, most=1)


def shown(value: Any) -> str:
    """A value as a person types it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(shown(part) for part in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{shown(part)}" for key, part in value.items()) + "}"
    return str(value)


def _entry(of: Rule, entry: Any) -> Any:
    try:
        return of.read(entry)
    except Refused as refused:
        raise Refused(f"has {shown(entry)}, which {refused}") from None


def _number(value: Any) -> float | int:
    if value is None:
        raise Refused("is no number")
    if isinstance(value, bool) or not isinstance(value, int | float):
        quotes = " but text" if isinstance(value, str) else ""
        raise Refused(f"is no number{quotes}")
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused("is not finite")
    return value


def _within(
    value: float,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> None:
    if (least is not None and value < least) or (above is not None and value <= above):
        raise Refused("is too small")
    if (most is not None and value > most) or (below is not None and value >= below):
        raise Refused("is too large")


def _from(least: int) -> str:
    return "above 0" if least == 1 else f"from {least}"
