"""Steps that subcommands share: start TensorFlow, find models and data, print JSON and messages."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.cli.arguments import data_options
from kerascnn.errors import InputError
from kerascnn.shown_text import for_json
from kerascnn.terminal_encoding import encodes_everything

if TYPE_CHECKING:
    from rich.table import Table

    from kerascnn.data import DataOptions

# Keras imports these if they are installed, which takes a quarter of the start; no subcommand uses those parts of it.
NOT_NEEDED = ("cv2", "matplotlib", "pandas", "sklearn")

# Bytes that TensorFlow maps for a small network; it hangs or aborts with 2.5 GB.
ADDRESSES = 3_500_000_000


def start_tensorflow() -> None:
    """Imports TensorFlow and Keras, without their messages about the CPU and without `NOT_NEEDED`.

    InputError where `ulimit -v` leaves too little for it.
    """
    from kerascnn.files.memory import free_addresses
    from kerascnn.native_output import discarded_stderr

    # With less it ends in the middle, without a word of Python's.
    if (room := free_addresses()) < ADDRESSES:
        raise InputError(
            f"TensorFlow needs about {ADDRESSES / 1e9:.1f} GB of addresses, and 'ulimit -v' leaves {room / 1e9:.1f}; "
            "raise that limit."
        )

    if sys.modules.keys() >= {"keras", "tensorflow"}:
        return
    hidden = [name for name in NOT_NEEDED if name not in sys.modules]
    # Python raises ImportError for a module that is None.
    sys.modules.update(dict.fromkeys(hidden))
    try:
        with discarded_stderr():
            import keras  # noqa: F401
            import tensorflow  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]
    # Modules are no garbage: each look through those of TensorFlow takes a quarter of a second.
    gc.freeze()


def model_file(path: Path, known: str = "a .keras file or a run folder") -> Path:
    """The file of a model or of its run folder; raises InputError if it is missing."""
    # The functions of `Path` fail where a path is too long.
    file = path / "model.keras" if os.path.isdir(path) else path
    if os.path.isfile(path / "saved_model.pb"):
        raise InputError(f"{path} is a SavedModel; give the Keras model that it was made from.")
    if not os.path.isfile(file):
        raise InputError(f"there is no model at {path}; give {known}.")
    return file


def data_of(options: argparse.Namespace, *models: Path) -> tuple[str, int | None, DataOptions]:
    """The source, limit and options of `--data`, or those of the models' run folders, which must be equal."""
    for model in models:
        if not os.path.exists(model):
            raise InputError(f"there is no model at {model}.")
    from kerascnn.data import DataOptions
    from kerascnn.data.ingestion.sources import normalized
    from kerascnn.training import RunFolder

    given, sources = data_options(options), {}
    for model in models:
        if folder := RunFolder.around(model):
            _, source, limit, _ = folder.read_recipe()
            sources[source, limit, folder.read_data_options()] = model
    if options.data:
        # Named explicitly, the data of a run are still held out as they were.
        of_runs = {of_run for source, _, of_run in sources if source == normalized(options.data)}
        as_trained = len(of_runs) == 1 and given == DataOptions()
        return options.data, options.limit, of_runs.pop() if as_trained else given
    if not sources:
        raise InputError(f"{models[0]} is in no run folder that names its data; use --data SOURCE.")
    found, *others = sources
    if others:
        raise InputError(
            f"{sources[found]} and {sources[others[0]]} were trained on different images; use --data SOURCE."
        )
    source, limit, of_run = found
    return source, options.limit or limit, of_run.updated(given)


def print_message(*lines: str) -> None:
    """Prints lines on standard error, without markup or line breaks."""
    from kerascnn.console import messages, print_text

    print_text(messages(), *lines)


def print_result(options: argparse.Namespace, values: Any, *shown: Table | str) -> int:
    """Prints a subcommand's result: with `--json` its values, else tables and lines; returns the exit status 0."""
    if options.json:
        print_json(values)
        return 0
    from kerascnn.console import output, print_text

    for one in shown:
        if isinstance(one, str):
            print_text(output(), one)
        else:
            output().print(one)
    return 0


def print_json(value: Any, indent: int | None = 2) -> None:
    """Prints a value as JSON; on one line if `indent` is None."""
    print(json_text(value, indent))


def json_text(value: Any, indent: int | None = 2) -> str:
    """A value as JSON, in letters that standard output can show; on one line if `indent` is None."""
    return for_json(json.dumps(value, indent=indent, ensure_ascii=not encodes_everything()))
