"""The `kerascnn` command: one thin function a subcommand, in a module for each group of subcommands.

Nothing heavy is imported here; each subcommand imports what it needs, so that `--help` is instant.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

import kerascnn
from kerascnn.cli import (
    converting,
    datasets,
    embedding,
    evaluating,
    experimenting,
    explaining,
    exporting,
    networks,
    predicting,
    training,
    tuning,
)
from kerascnn.cli.arguments import Parser, Subcommands
from kerascnn.cli.exit_codes import INTERRUPTED, USAGE_ERROR
from kerascnn.errors import InputError


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends the process with its status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser().parse_args(arguments, argparse.Namespace(arguments=arguments))
        # A scheduler's request to stop is treated as the user's.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        status = options.run(options)
    except InputError as error:
        print(f"kerascnn: {error}", file=sys.stderr)
        status = USAGE_ERROR
    except KeyboardInterrupt:
        print("kerascnn: stopped.", file=sys.stderr)
        status = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left, as `head` does; nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 0
    sys.exit(status)


def _parser() -> Parser:
    parser = Parser(
        prog="kerascnn",
        description="Classic image networks: train on your images, watch, evaluate, export, predict.",
        epilog="Example: kerascnn train --model googlenet --data pets.zip",
    )
    parser.add_argument("--version", action="version", version=f"kerascnn {kerascnn.__version__}")
    subcommands = Subcommands(parser)
    groups = (
        *(networks, datasets, training, tuning, evaluating, exporting),
        *(predicting, explaining, embedding, experimenting, converting),
    )
    for group in groups:
        group.add_subcommands(subcommands)
    return parser
