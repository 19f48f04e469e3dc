"""`python -m benchmarks`: the parts that are named, or all."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import this_machine
from benchmarks.part import Options, Part, Row, chosen
from benchmarks.parts import PARTS
from benchmarks.results import RESULTS, append, read, result_of
from benchmarks.turns import missing_packages, outcomes
from kerascnn.errors import InputError

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "networks": ("networks of kerascnn by name", {"nargs": "+", "metavar": "NAME"}),
    "policies": ("mixed_bfloat16, float32", {"nargs": "+", "choices": ("mixed_bfloat16", "float32")}),
    "batches": ("images at a time", {"nargs": "+", "type": int, "metavar": "N"}),
    "image_size": ("height and width of images, in pixels", {"type": int, "metavar": "PIXELS"}),
    "images": ("how many images there are", {"type": int, "metavar": "N"}),
    "curves": ("which costs are followed as they grow", {"nargs": "+", "metavar": "NAME"}),
    "most": ("leave out the places of a curve above this one", {"type": int, "metavar": "N"}),
    "photographs": ("a folder or an archive of photographs", {"type": Path, "metavar": "PATH"}),
    "cifar": ("a folder or an archive of images of 32 x 32 pixels in ten classes", {"type": Path, "metavar": "PATH"}),
    "accuracy": ("where a training is over, from 0 to 1", {"type": float, "metavar": "SHARE"}),
    "seconds": ("the least length of a round (default: 2)", {"type": float, "metavar": "S", "default": 2.0}),
}
USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None, parts: dict[str, Part] | None = None) -> int:
    """Runs a command line; the status is 1 if a contestant failed."""
    parts = PARTS if parts is None else parts
    parser = parser_of(parts)
    given = parser.parse_args(arguments)
    if given.list:
        for name, part in parts.items():
            print(f"{name:17} {part.sentence}\n{'':17} {' '.join(map(_flag, part.options))}")
        return 0
    failures = 0
    try:
        if not given.report:
            _check_options(given, parts)
            failures = _run(given, parts)
    except InputError as error:
        parser.error(str(error))
    from benchmarks import model_zoo, report

    report.write(read(given.results), given.results.parent)
    if given.results == RESULTS:
        model_zoo.write(model_zoo.read_table())
    return 1 if failures else 0


def parser_of(parts: dict[str, Part]) -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures kerascnn beside other libraries, each in a process of its own, in turn.",
        epilog="Without a part, all are run. Tables and plots are then written beside the results.",
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--list", action="store_true", help="list the parts with their options")
    parser.add_argument("--report", action="store_true", help="only write tables and plots of the results")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of every contestant (default: 5)")
    parser.add_argument("--contestants", nargs="+", metavar="NAME", help="only these libraries beside ours")
    parser.add_argument("--together", type=int, default=3, metavar="N", help="processes at a time (default: 3)")
    parser.add_argument("--limit", type=float, default=900, metavar="S", help="of a preparation or a round")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="FILE", help="appended to (default: %(default)s)"
    )
    parser.add_argument("--resume", action="store_true", help="leave out what was measured at this commit")
    for name, (text, how) in OPTIONS.items():
        parser.add_argument(_flag(name), help=text, **how)
    return parser


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check_options(given: argparse.Namespace, parts: dict[str, Part]) -> None:
    """Raises InputError if an option has no effect, or a value is out of range."""
    names = chosen(given.parts, parts, "part")
    used = {name for part in names for name in parts[part].options}
    for name, (_, how) in OPTIONS.items():
        if getattr(given, name) != how.get("default") and name not in used:
            raise InputError(f"{_flag(name)} has no effect on {', '.join(names)}; --list shows every part's options")
    for name, least in (("rounds", 1), ("together", 2)):
        if getattr(given, name) < least:
            raise InputError(f"--{name} must be at least {least}, not {getattr(given, name)}")
    for name in ("photographs", "cifar"):
        path = getattr(given, name)
        if path and not path.exists():
            raise InputError(f"{_flag(name)} {path}: there is no such file or folder")


def _run(given: argparse.Namespace, parts: dict[str, Part]) -> int:
    """Measures and appends; how many contestants failed."""
    machine, failures = this_machine(), 0
    print(f"{machine.processor}, {machine.cores} cores, {machine.instructions}; {machine.versions}; {machine.commit}")
    done = {
        (one.part, one.row, one.x, one.contestant)
        for one in read(given.results)
        if given.resume and not one.failure and (one.processor, one.commit) == (machine.processor, machine.commit)
    }
    for name, row in _rows(given, parts):
        row = _reduced(name, row, given.contestants, done)
        if row is None:
            continue
        print(_title(name, row), flush=True)
        rounds = min(given.rounds, row.rounds or given.rounds)
        for outcome in outcomes(row, rounds, given.together, given.limit, _say):
            append(given.results, [result_of(name, row, outcome, machine)])
            if outcome.failure:
                failures += 1
                print(f"  {outcome.contestant.name} failed: {outcome.failure}", flush=True)
    return failures


def _rows(given: argparse.Namespace, parts: dict[str, Part]) -> list[tuple[str, Row]]:
    """All rows with their parts' names, so that a mistake is found before anything runs."""
    options = Options(**{name: getattr(given, name) for name in OPTIONS})
    found = []
    for name in chosen(given.parts, parts, "part"):
        if (needed := parts[name].needs) and not getattr(options, needed):
            print(f"{name} is skipped: it needs {_flag(needed)}.")
        else:
            found += [(name, row) for row in parts[name].rows(options)]
    return found


def _title(part: str, row: Row) -> str:
    return f"{part}: {row.name}{'' if row.x is None else f', {row.x:g}'}"


def _say(line: str) -> None:
    print(line, flush=True)


def _reduced(part: str, row: Row, libraries: list[str] | None, done: set[tuple]) -> Row | None:
    """The row with the contestants to run, or None; says which are left out and why."""
    title = _title(part, row)
    first, *others = row.contestants
    others = [one for one in others if libraries is None or one.library in libraries]
    for one in [first, *others]:
        if missing := missing_packages(one):
            print(f"{title}: {one.name} is skipped, because {', '.join(missing)} is not installed (see [peers]).")
            if one is first:
                return None
            others.remove(one)
    key = part, row.name, -1 if row.x is None else row.x
    left = [one for one in others if (*key, one.name) not in done]
    if (*key, first.name) in done and not left:
        print(f"{title}: measured at this commit already.")
        return None
    return Row(row.name, row.unit, (first, *left), row.x, row.rounds)


if __name__ == "__main__":
    # As Ctrl-C, which ends the contestants too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped; --resume continues.", file=sys.stderr)
        sys.exit(130)
