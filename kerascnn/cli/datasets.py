"""`kerascnn ingest`: what is in a data set, and what of it can be used."""

from __future__ import annotations

import argparse
from pathlib import Path

from kerascnn.cli.arguments import SOURCES, Subcommands
from kerascnn.cli.loading import print_json


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds it to the command."""
    parser = subcommands.add(
        "ingest",
        run_ingest,
        "check every file of a data set, and say what is in it",
        "kerascnn ingest photos/",
        "kerascnn ingest pets.zip --to pets && kerascnn train --data pets",
        "kerascnn ingest https://example.org/flowers.tar.gz --to flowers --sha256 6a6d3c…",
        "kerascnn ingest photos/ --on-bad move --json",
        "kerascnn ingest photos/ --tfrecord shards && kerascnn train --data shards",
    )
    parser.add_argument("source", metavar="SOURCE", help=SOURCES)
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FOLDER",
        help="gets the unpacked images of an archive, the manifest, the quarantine",
    )
    parser.add_argument(
        "--on-bad",
        choices=("skip", "fail", "move"),
        default="skip",
        help="files that cannot be read as images: leave out (default), refuse the source, or move to a quarantine",
    )
    parser.add_argument("--sha256", metavar="HEX", help="what the archive's SHA-256 must be")
    parser.add_argument(
        "--tfrecord", type=Path, metavar="FOLDER", help="write the images there as TFRecord shards with an index"
    )


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
