"""The command-line parser, the types of values that several subcommands take, and the exit codes."""

from __future__ import annotations

import argparse
import itertools
import math
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kerascnn.cli.other_programs import SUBCOMMANDS, called_here
from kerascnn.errors import InputError, closest
from kerascnn.evaluation.model_options import INPUT_SCALINGS, ModelOptions, read_labels
from kerascnn.image_shape import GRAY, RGB, ImageSize

if TYPE_CHECKING:
    from kerascnn.data import DataOptions

EXPORT_DISAGREES = IMAGES_SKIPPED = NO_TRIAL_SUCCEEDED = 1
USAGE_ERROR = 2
WORKER_LOST = 3
INTERRUPTED = 130

# Of help texts that argparse does not break.
COLUMNS = 78

SOURCES = (
    "'digits', a folder with one subfolder per class, the path or URL of a .zip or .tar of one, "
    "a folder of TFRecord shards, 'keras:NAME' or 'tfds:NAME'"
)


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one sentence that suggest what was meant, instead of the usage."""

    output_formats: argparse.ArgumentParser

    def parse_known_args(self, args=None, namespace=None):
        """As argparse, but an unknown option is an error that names similar ones, whatever else is missing."""
        words = sys.argv[1:] if args is None else args
        # Behind the first word without a dash are the options of a subcommand.
        own = words if " " in self.prog else [*itertools.takewhile(lambda word: word.startswith("-"), words)]
        known = ["--help", *re.findall("--[a-z][a-z0-9-]*", self.format_usage())]
        for place, word in enumerate(own):
            name = word.partition("=")[0]
            if name.startswith("--") and not any(option.startswith(name) for option in known):
                hint = called_here(word, own[place + 1 :], known) or closest(name, known)
                raise InputError(f"'{self.prog}' has no option {name}; {hint}")
        return super().parse_known_args(args, namespace)

    def _print_message(self, message, file=None):
        # argparse hides that the disk is full.
        print(message, end="", file=file or sys.stderr)

    def error(self, message: str) -> NoReturn:
        """Raises InputError, which ends the program with status 2."""
        choice = re.fullmatch(r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", message)
        if choice:
            name, value, known = choice.groups()
            here = SUBCOMMANDS.get(value) if name == "SUBCOMMAND" else None
            hint = f"that is {here} here." if here else closest(value, [word.strip("' ") for word in known.split(",")])
            raise InputError(f"there is no {name.lower()} '{value}'; {hint}")
        if extra := re.match(r"unrecognized arguments: (?!-)(?:(\w+)=)?(\S+)", message):
            option, value = extra[1] or "data", extra[2]
            raise InputError(f"{message}; values follow their option, such as --{option} {value}.")
        raise InputError(message if message.endswith(".") else f"{message}; see '{self.prog} --help'.")


class Subcommands:
    """The subcommands of a parser."""

    def __init__(self, parser: Parser):
        self._parser = parser
        self._parsers = parser.add_subparsers(
            title="subcommands", dest="subcommand", required=True, metavar="SUBCOMMAND"
        )

    def add(self, name: str, run: Callable[[argparse.Namespace], int], summary: str, *examples: str) -> Parser:
        """Adds a subcommand, whose `run` returns the exit status; its `output_formats` exclude each other."""
        added = self._add(name, run, summary, *examples)
        added.output_formats = added.add_mutually_exclusive_group()
        added.output_formats.add_argument("--json", action="store_true", help="print JSON instead of tables")
        return added

    def _add(self, name: str, run: Callable[[argparse.Namespace], int], summary: str, *examples: str) -> Parser:
        added = self._parsers.add_parser(
            name,
            help=summary,
            description=textwrap.fill(f"{summary[0].upper()}{summary[1:]}.", COLUMNS),
            epilog="examples:\n" + "\n".join(f"  {_folded(example)}" for example in examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        add_debug_option(added)
        return added

    def add_completion(self) -> None:
        """Adds `completion`, which completes all subcommands and options."""
        summary = "print a script that completes commands and options in a shell"
        example = "kerascnn completion bash > ~/.local/share/bash-completion/completions/kerascnn"
        added = self._add("completion", self._print_completion, summary, example)
        added.add_argument("shell", choices=("bash", "zsh", "tcsh"), metavar="SHELL", help="bash, zsh or tcsh")

    def _print_completion(self, options: argparse.Namespace) -> int:
        import shtab

        print(shtab.complete(self._parser, options.shell))
        return 0


def _folded(example: str) -> str:
    """A command line in lines that a terminal of 80 columns shows whole, and a shell takes as one command."""
    # An option stays with its value, and a redirection with its file.
    kept = re.sub(r"(--[a-z-]+|>) ", "\\1\xa0", example)
    lines = textwrap.wrap(kept, COLUMNS - len("   \\"), subsequent_indent="    ", break_on_hyphens=False)
    return " \\\n  ".join(lines).replace("\xa0", " ")


def add_debug_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--debug`, which stands before or behind the subcommand."""
    text = "print the traceback of an error too, as with KERASCNN_DEBUG=1"
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=text)


def _number(kind: Callable[[str], Any], description: str, low: float, high: float = math.inf) -> Callable[[str], Any]:
    """A type for `add_argument`: finite numbers from `low` to `high`."""

    def read(text: str) -> Any:
        try:
            number = kind(text)
        except ValueError:
            number = math.nan
        if not (low <= number <= high and math.isfinite(number)):
            raise argparse.ArgumentTypeError(f"must be {description}, not '{text}'")
        return number

    return read


positive = _number(int, "a whole number of at least 1", 1)
non_negative_integer = _number(int, "a whole number of at least 0", 0)
non_negative_number = _number(float, "a number of at least 0", 0)
share = _number(float, "a number from 0 to 1", 0, 1)


def run_path(text: str) -> Path:
    """Reads a path, or a name of a run such as runs/last or NAME@best."""
    from kerascnn.files.run_names import find_run

    try:
        return find_run(given(text))
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def given(text: str) -> str:
    """Reads a text that is not empty, as a shell makes it of a variable that is not set."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def weights_location(text: str) -> str:
    """Reads the location of weights: a URL, a path, a name of public weights, or a name of a run."""
    return text if "://" in text else str(run_path(text))


def matching(pattern: str, description: str, value_of: Callable[..., Any]) -> Callable[[str], Any]:
    """A type for `add_argument`: texts of a pattern, whose groups `value_of` takes; where it gives None, an error."""

    def read(text: str) -> Any:
        found = re.fullmatch(pattern, text)
        value = value_of(*found.groups()) if found else None
        if value is None:
            raise argparse.ArgumentTypeError(f"must be {description}, not '{text}'")
        return value

    return read


# Of a hint: the student's and the teacher's.
layers = matching("([^=]+)=([^=]+)", "STUDENT_LAYER=TEACHER_LAYER", lambda student, teacher: (student, teacher))

# Of images, 224 or (240, 320).
image_size = matching(
    r"0*([1-9]\d*)(?:[xX×]0*([1-9]\d*))?",
    "at least 1 pixel, such as 224, or HEIGHTxWIDTH, such as 240x320",
    lambda height, width: ImageSize(int(height), int(width or height)).plain,
)
channel_count = matching(f"({GRAY}|{RGB})", "3 (RGB) or 1 (gray)", int)
step_range = matching(
    r"(\d+):(\d+)",
    "the first and the last step, such as 10:20",
    lambda first, last: (int(first), int(last)) if 1 <= int(first) <= int(last) else None,
)
# In seconds.
duration = matching(
    r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?",
    "a duration such as 2h, 90m or 1h30m",
    lambda hours, minutes, seconds: 3600.0 * int(hours or 0) + 60 * int(minutes or 0) + int(seconds or 0) or None,
)
fold = matching(
    r"(\d+)/(\d+)",
    "a part and the number of parts, such as 2/5",
    lambda part, parts: (int(part), int(parts)),
)


def some_of(*known: str) -> Callable[[str], tuple[str, ...]]:
    """A type for `add_argument`: some of these words, separated by commas."""

    def read(text: str) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(text.split(",")))
        for word in words:
            if word not in known:
                raise argparse.ArgumentTypeError(f"must be some of {', '.join(known)}, not '{word}'")
        return words

    return read


def add_image_options(parser: Parser, default: str) -> None:
    """Adds `--image-size` and `--channels`."""
    text = f"of the network's images, in pixels: one number, or HEIGHTxWIDTH such as 240x320 (default: {default})"
    parser.add_argument("--image-size", type=image_size, metavar="PIXELS", help=text)
    text = "of the network's images: 3 for RGB (default), or 1 for gray"
    parser.add_argument("--channels", type=channel_count, metavar="{1,3}", help=text)


def add_model_options(parser: Parser) -> None:
    """Adds what a Keras model or SavedModel of another program does not say about itself."""
    add = parser.add_argument_group("models of other programs").add_argument
    text = "class names, one per line or as a JSON list, in the order of the outputs; of one sigmoid: of 0, then of 1"
    add("--labels", type=Path, metavar="FILE", help=text)
    text = "of a model that takes any size: one number, or HEIGHTxWIDTH"
    add("--image-size", type=image_size, metavar="PIXELS", help=text)
    text = "what the model takes: pixels in [0, 255], [0, 1] or [-1, 1], or as keras.applications' torch or caffe"
    add("--scaling", choices=INPUT_SCALINGS, help=f"{text} (default: none)")


def model_options(options: argparse.Namespace) -> ModelOptions:
    """The values of the options of `add_model_options`; raises InputError if the file of labels is none."""
    return ModelOptions(options.labels and read_labels(options.labels), options.image_size, options.scaling)


def add_data_options(parser: Parser, default: str | None, more: str) -> None:
    """Adds `--data`, with `more` at the end of its help, `--limit`, and the options of `add_source_options`."""
    parser.add_argument("--data", type=given, default=default, metavar="SOURCE", help=f"{SOURCES}{more}")
    parser.add_argument("--limit", type=positive, metavar="N", help="use at most N images")
    add_source_options(parser)


def add_source_options(parser: Parser) -> None:
    """Adds the options about a source: how it is read, the columns of tables, and which images are held out."""
    add = parser.add_argument
    text = "where the classes are: published, table, splits, folders, inner-folders or names (default: recognized)"
    add("--layout", metavar="LAYOUT", help=text)
    text = "a folder in the data, by path or name, that is no part of it; repeatable"
    add("--leave-out", action="append", default=[], metavar="FOLDER", help=text)
    text = "make class names that differ only in case one class, or keep them apart (default: an error)"
    add("--letter-case", choices=("merge", "keep"), help=text)
    add("--label-column", metavar="TITLE", help="the column of classes in a table (default: recognized)")
    text = "classes of an image in a table: one, where several are one combination, or several (default: recognized)"
    add("--labels-per-image", choices=("one", "several"), help=text)
    add("--file-column", metavar="TITLE", help="the column of files in a table (default: recognized)")
    text = "a column of a table, such as patient: images with the same value are never in two splits"
    add("--group-column", metavar="TITLE", help=text)
    text = "another source, whose images are all for validation (default: the source's own, or a fifth)"
    add("--val-data", metavar="SOURCE", help=text)
    add("--val-fraction", type=float, metavar="SHARE", help="hold out this share of the images, such as 0.1")
    add("--fold", type=fold, metavar="K/N", help="hold out the K-th of N parts of the images, such as 2/5")


def data_options(options: argparse.Namespace) -> DataOptions:
    """The values of the options of `add_source_options`."""
    from kerascnn.data import DataOptions

    return DataOptions(
        label_column=options.label_column,
        file_column=options.file_column,
        group_column=options.group_column,
        validation_source=options.val_data,
        validation_fraction=options.val_fraction,
        fold=options.fold,
        layout=options.layout,
        leave_out=tuple(options.leave_out),
        letter_case=options.letter_case,
        labels=options.labels_per_image,
    )
