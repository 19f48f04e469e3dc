"""Steps that subcommands share: start TensorFlow, load the data, print JSON and messages."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.errors import InputError

if TYPE_CHECKING:
    from kerascnn.data import DataSet


# Keras imports these if they are installed, which takes a fifth of the start, and no subcommand uses those parts of it.
NOT_NEEDED = ("matplotlib.pyplot", "sklearn")


def start_tensorflow() -> None:
    """Imports TensorFlow and Keras, without their messages about the CPU and without `NOT_NEEDED`."""
    from kerascnn.native_output import discarded_stderr

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


def load(source: str, limit: int | None) -> DataSet:
    """Loads the data, and reports on standard error what was found."""
    from kerascnn import data
    from kerascnn.cli.ingestion_report import print_summary
    from kerascnn.console import messages, track, track_bytes
    from kerascnn.data.dataset import shortened
    from kerascnn.files.progress import shown_bytes

    shown_bytes.set(track_bytes)
    found = data.ingest(source, track=track, track_bytes=track_bytes)
    loaded = shortened(found.data, limit)
    print_summary(messages(), found, loaded)
    return loaded


def data_of(options: argparse.Namespace, *models: Path) -> tuple[str, int | None]:
    """The source and limit of `--data` and `--limit`, or those of the models' run folders.

    Raises:
        InputError: a model is missing, or the run folders name no data, or different data.
    """
    for model in models:
        if not model.exists():
            raise InputError(f"there is no model at {model}.")
    if options.data:
        return options.data, options.limit
    from kerascnn.training import RunFolder

    sources = {}
    for model in models:
        if folder := RunFolder.around(model):
            _, source, limit, _ = folder.read_recipe()
            sources[source, limit] = model
    if not sources:
        raise InputError(f"{models[0]} is in no run folder that names its data; use --data SOURCE.")
    (source, limit), *others = sources
    if others:
        raise InputError(
            f"{sources[source, limit]} and {sources[others[0]]} were trained on different images; use --data SOURCE."
        )
    return source, options.limit or limit


def print_message(text: str) -> None:
    """Prints a text on standard error without markup or line breaks."""
    from kerascnn.console import messages

    messages().print(text, highlight=False, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Prints a value as indented JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_json_line(value: Any) -> None:
    """Prints a value as one line of JSON."""
    print(json.dumps(value, ensure_ascii=False))
