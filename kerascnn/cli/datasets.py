"""`kerascnn ingest`: checks a data set and reports on it."""

from __future__ import annotations

import argparse
from pathlib import Path

from kerascnn.cli.arguments import SOURCES, Subcommands
from kerascnn.cli.loading import print_json


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `ingest` to the command."""
    parser = subcommands.add(
        "ingest",
        run_ingest,
        "check every file of a data set, and report classes and problems",
        "kerascnn ingest photos/",
        "kerascnn ingest pets.zip --to pets && kerascnn train --data pets",
        "kerascnn ingest https://example.org/flowers.tar.gz --to flowers --sha256 6a6d3c…",
        "kerascnn ingest photos/ --on-bad move --json",
        "kerascnn ingest photos/ --tfrecord shards && kerascnn train --data shards",
    )
    to_help = "folder for the unpacked images of an archive, the manifest and the quarantine"
    on_bad_help = "files that cannot be read as images: skip (default), end with an error, or move to a quarantine"
    records_help = "write the images as TFRecord shards with an index to this folder"
    parser.add_argument("source", metavar="SOURCE", help=SOURCES)
    parser.add_argument("--to", type=Path, metavar="FOLDER", help=to_help)
    parser.add_argument("--on-bad", choices=("skip", "fail", "move"), default="skip", help=on_bad_help)
    parser.add_argument("--sha256", metavar="HEX", help="the archive's expected SHA-256")
    parser.add_argument("--tfrecord", type=Path, metavar="FOLDER", help=records_help)


def run_ingest(options: argparse.Namespace) -> int:
    """`kerascnn ingest`."""
    from kerascnn import data
    from kerascnn.cli.ingestion_report import print_report
    from kerascnn.console import output, track, track_bytes

    found = data.ingest(
        options.source,
        to=options.to,
        on_bad=options.on_bad,
        sha256=options.sha256,
        track=track,
        track_bytes=track_bytes,
    )
    records = data.write_records(found.data, options.tfrecord, track=track) if options.tfrecord else None
    if options.json:
        print_json({**found.to_dict(), "records": records and str(records)})
    else:
        print_report(output(), found, records)
    return 0
