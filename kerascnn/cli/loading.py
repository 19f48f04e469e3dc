"""What most subcommands do first: start TensorFlow, find the data, and what all do last: print."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.errors import InputError

if TYPE_CHECKING:
    from kerascnn.data import DataSet


# What Keras imports where it is installed, in a fifth of the time of a start, for parts of it that no subcommand uses.
NOT_NEEDED = ("matplotlib.pyplot", "sklearn")


def start_tensorflow() -> None:
    """Imports TensorFlow, and Keras with it, without what it has to say about this processor."""
    from kerascnn.native_output import discarded_stderr

    with discarded_stderr(), _refused(NOT_NEEDED):
        import keras  # noqa: F401
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _refused(modules: Sequence[str]) -> Iterator[None]:
    """Meanwhile these are as if they were not installed, but for those that are imported already."""
    refused = [name for name in modules if name not in sys.modules]
    # Python refuses to import a module that is None.
    sys.modules.update(dict.fromkeys(refused))
    try:
        yield
    finally:
        for name in refused:
            del sys.modules[name]


def load(source: str, limit: int | None) -> DataSet:
    """The data, with what was found in them told on standard error."""
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
    """The data that were asked for, or those that the models' run folders name."""
    for model in models:
        if not model.exists():
            raise InputError(f"there is no model at {model}.")
    if options.data:
        return options.data, options.limit
    named = {found: model for model in models if (found := _data_of_run(model))}
    if not named:
        raise InputError(f"{models[0]} lies in no run folder that names its data; say --data SOURCE.")
    (source, limit), *others = named
    if others:
        raise InputError(
            f"{named[source, limit]} and {named[others[0]]} were trained on other images; say --data SOURCE."
        )
    return source, options.limit or limit


def _data_of_run(model: Path) -> tuple[str, int | None] | None:
    from kerascnn.training import RunFolder

    folder = RunFolder.around(model)
    if folder is None:
        return None
    _, source, limit, _ = folder.read_recipe()
    return source, limit


def print_json(value: Any) -> None:
    """Prints a value for machines."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_json_line(value: Any) -> None:
    """Prints a value for machines that read line by line."""
    print(json.dumps(value, ensure_ascii=False))
