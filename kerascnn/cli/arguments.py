"""How the command line reads what is typed: the parser, and the values that several subcommands take."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from kerascnn.errors import InputError

Number = TypeVar("Number", int, float)

SOURCES = (
    "'digits', a folder with one subfolder a class, the path or URL of a .zip or .tar of one, "
    "a folder of TFRecord shards, 'keras:NAME' or 'tfds:NAME'"
)


class Parser(argparse.ArgumentParser):
    """argparse, with one sentence for a mistake instead of the usage."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with status 2."""
        raise InputError(f"{message}; see '{self.prog} --help'.")


class Subcommands:
    """The subcommands of the command, which its modules add one by one."""

    def __init__(self, parser: Parser):
        self._verbs = parser.add_subparsers(title="subcommands", dest="subcommand", required=True, metavar="VERB")

    def add(self, name: str, run: Callable[[argparse.Namespace], int], summary: str, *examples: str) -> Parser:
        """A subcommand with `--json`; `run` takes its options and returns the exit status."""
        added = self._verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="print JSON for machines instead of tables")
        return added


def positive(text: str) -> int:
    """Reads a whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not '{text}'")
    return number


def at_least_zero(kind: type[Number], called: str) -> Callable[[str], Number]:
    """Reads a number of this kind that is not negative."""

    def read(text: str) -> Number:
        try:
            number = kind(text)
        except ValueError:
            number = kind(-1)
        if not 0 <= number < math.inf:
            raise argparse.ArgumentTypeError(f"must be a {called} of at least 0, not '{text}'")
        return number

    return read


def share(text: str) -> float:
    """Reads a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not '{text}'")
    return number


def span(text: str) -> tuple[int, int]:
    """Reads the first and the last of some steps, as 10:20."""
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise argparse.ArgumentTypeError(f"must be the first and the last step, as 10:20, not '{text}'")
    return int(first), int(last)


def duration(text: str) -> float:
    """Reads a length of time such as 2h, 90m or 1h30m, in seconds.

    Example:
        >>> duration("1h30m")
        5400.0
    """
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    seconds = (
        sum(int(part or 0) * unit for part, unit in zip(parts.groups(), (3600, 60, 1), strict=True)) if parts else 0
    )
    if not seconds:
        raise argparse.ArgumentTypeError(f"must be a length of time such as 2h, 90m or 1h30m, not '{text}'")
    return float(seconds)


def some_of(*known: str) -> Callable[[str], tuple[str, ...]]:
    """Reads some of these words, with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(text.split(",")))
        for word in words:
            if word not in known:
                raise argparse.ArgumentTypeError(f"takes some of {', '.join(known)}, not '{word}'")
        return words

    return read


def add_data_options(parser: Parser, default: str | None, more: str) -> None:
    """`--data` and `--limit`; `more` is said of the default."""
    parser.add_argument("--data", default=default, metavar="SOURCE", help=f"{SOURCES}{more}")
    parser.add_argument("--limit", type=positive, metavar="N", help="use at most N images")
