"""The `kerascnn` command: one module per group of subcommands, and one function per subcommand.

Each subcommand imports what it needs, so that `--help` is fast.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time

import kerascnn
from kerascnn.cli import (
    converting,
    datasets,
    evaluating,
    experimenting,
    exporting,
    image_commands,
    networks,
    training,
    tuning,
)
from kerascnn.cli.arguments import INTERRUPTED, USAGE_ERROR, Parser, Subcommands
from kerascnn.errors import InputError
from kerascnn.parent_process import follow_parent
from kerascnn.terminal_encoding import accept_every_character, print_error


def main(arguments: list[str] | None = None) -> None:
    """Runs a command line and exits with its status."""
    follow_parent()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    arguments = sys.argv[1:] if arguments is None else arguments
    accept_every_character()
    try:
        options = _parser().parse_args(arguments, argparse.Namespace(arguments=arguments, started=time.monotonic()))
        # Schedulers stop a job with SIGTERM, which is handled like Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        status = options.run(options)
    except InputError as error:
        print_error(f"kerascnn: {error}")
        status = USAGE_ERROR
    except KeyboardInterrupt:
        print_error("kerascnn: stopped.")
        status = INTERRUPTED
    except BrokenPipeError:
        # The reader of the output, such as `head`, has ended, and nothing more can be written.
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
    models = (networks, datasets, training, tuning, evaluating, exporting)
    for group in (*models, image_commands, experimenting, converting):
        group.add_subcommands(subcommands)
    subcommands.add_completion()
    return parser
