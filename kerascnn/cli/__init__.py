"""The `kerascnn` command: one module per group of subcommands, and one function per subcommand.

Each subcommand imports what it needs, so that `--help` is fast.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
import traceback

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
from kerascnn.cli.arguments import INTERRUPTED, USAGE_ERROR, Parser, Subcommands, add_debug_option
from kerascnn.errors import InputError
from kerascnn.files.machine_errors import machine_error
from kerascnn.parent_process import follow_parent
from kerascnn.terminal_encoding import accept_every_character, print_error

# Seconds that threads, and services that a training logs to, have to end after a stop.
PATIENCE = 10.0


def program() -> None:
    """The program `kerascnn`: as `main`, and ends although threads do not, which may wait for a disk or for memory."""
    threading.excepthook = _report_in_thread
    try:
        main()
    except SystemExit as end:
        if end.code in (INTERRUPTED, USAGE_ERROR):
            # Without memory for a thread, nothing else waits for a disk either.
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=_end, args=[end.code], daemon=True).start()
        raise


def main(arguments: list[str] | None = None) -> None:
    """Runs a command line and exits with its status."""
    follow_parent()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    arguments = sys.argv[1:] if arguments is None else arguments
    accept_every_character()
    try:
        status = _run(arguments)
        # Where the disk is full, this is the last place to say so.
        sys.stdout.flush()
    except KeyboardInterrupt:
        print_error("kerascnn: stopped.")
        status = INTERRUPTED
    except BrokenPipeError:
        # The reader of the output, such as `head`, has ended.
        _write_no_more()
        status = 0
    except Exception as error:
        if not (sentence := str(error) if isinstance(error, InputError) else machine_error(error)):
            raise
        if "--debug" in arguments or os.environ.get("KERASCNN_DEBUG"):
            _print_traceback(error)
        print_error(f"kerascnn: {sentence}")
        status = USAGE_ERROR
        if not isinstance(error, InputError):
            _write_no_more()
    sys.exit(status)


def _run(arguments: list[str]) -> int | str | None:
    try:
        options = _parser().parse_args(arguments, argparse.Namespace(arguments=arguments, started=time.monotonic()))
    except SystemExit as end:
        # After --help or --version.
        return end.code
    # Schedulers stop a job with SIGTERM, which is handled like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return options.run(options)


def _report_in_thread(failed: threading.ExceptHookArgs) -> None:
    """Says nothing of a full disk where TensorBoard's thread meets it: the program is about to meet it too."""
    if failed.exc_value is None or not machine_error(failed.exc_value):
        threading.__excepthook__(failed)


def _write_no_more() -> None:
    """Keeps Python from writing the rest of the output when it ends, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _end(status: int) -> None:
    time.sleep(PATIENCE)
    os._exit(status)


def _print_traceback(error: BaseException) -> None:
    """Prints tracebacks, also of what an error stands for with `raise … from None`."""
    one: BaseException | None = error
    while one:
        one.__suppress_context__, one = False, one.__context__
    print_error("".join(traceback.format_exception(error)), end="")


def _parser() -> Parser:
    parser = Parser(
        prog="kerascnn",
        description="Classic image networks: train on your images, watch, evaluate, export, predict.",
        epilog="Example: kerascnn train --model googlenet --data pets.zip",
    )
    parser.add_argument("--version", action="version", version=f"kerascnn {kerascnn.__version__}")
    add_debug_option(parser)
    subcommands = Subcommands(parser)
    models = (networks, datasets, training, tuning, evaluating, exporting)
    for group in (*models, image_commands, experimenting, converting):
        group.add_subcommands(subcommands)
    subcommands.add_completion()
    return parser
