"""Finds the images that `evaluate` and `compare-runs` score, and says which of how many they are and why."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kerascnn.cli.arguments import Parser, model_options
from kerascnn.cli.datasets import load_all, load_splits
from kerascnn.cli.loading import print_message

if TYPE_CHECKING:
    from kerascnn.data import DataOptions, LabeledImages
    from kerascnn.evaluation import ModelOptions, Scores

# The values of `--split`, as the splits are called in Python.
SPLITS = {"all": "all", "train": "training", "validation": "validation", "test": "test"}


def add_split_options(parser: Parser) -> None:
    """Adds `--split` and `--unknown`."""
    text = "images to score (default: all of data that no MODEL was trained on; else the test images, or validation)"
    parser.add_argument("--split", choices=SPLITS, help=text)
    text = "images, or labels, of classes that the model does not know: count as wrong (default), or leave out"
    parser.add_argument("--unknown", choices=("wrong", "skip"), default="wrong", help=text)


class ScoredImages(NamedTuple):
    """The images that are scored, and how many of them a model was trained on, as far as that is known."""

    images: LabeledImages
    trained: int


def load_images(
    options: argparse.Namespace, models: Sequence[Path], source: str, limit: int | None, data_options: DataOptions
) -> ScoredImages:
    """Loads the images of `--split`, with the values of `data_of`, and reports on standard error which they are."""
    from kerascnn.data.dataset import limited
    from kerascnn.data.ingestion.sources import normalized
    from kerascnn.evaluation.trained_on import trained_images, was_trained_on

    trained = {model: was_trained_on(model, normalized(source)) for model in models}
    split = options.split and SPLITS[options.split]
    own, output = any(trained.values()), getattr(options, "report", None)
    if own:
        found = load_splits(source, limit, data_options, output)
        split = split or ("test" if found.data.test is not None else "validation")
        images = found.labeled(split)
    else:
        images = load_all(source, data_options, _class_names(models[0], Path(source), model_options(options)), output)
        if split and split != "all" and images.splits:
            images = images.of_split(split)
        elif split and split != "all":
            images = load_splits(source, None, data_options).labeled(split)
    count = len(images.examples)
    if limit and limit < count:
        images = replace(images, examples=limited(images.examples, limit), available=images.available or count)
    unclear = [model for model, answer in trained.items() if answer is None]
    print_message(f"scored: {images}{_reason(options, own, unclear)}")
    if own:
        among = len(found.data.training) if images.split in ("all", "training") else 0
    else:
        among = max(trained_images(model, images) for model in models)
    if among:
        these = "1 image is" if among == 1 else f"{among:,} images are"
        other = "" if own else ", or look the same as one there"
        print_message(
            f"{these} also in the data that the model was trained on{other}: accuracies are too high for new images"
        )
    return ScoredImages(images, among)


def _class_names(model: Path, folder: Path, said: ModelOptions) -> Sequence[str]:
    """The model's classes, if the folder may be that of one class; else nothing, because a model takes time to load."""
    from kerascnn.evaluation import open_predictor
    from kerascnn.training import RunFolder

    if not folder.is_dir() or sum(entry.is_dir() for entry in folder.iterdir()) > 1:
        return ()
    run = RunFolder.around(model)
    return run.read_record().fact("classes") if run else open_predictor(model, said).metadata.class_names


def _reason(options: argparse.Namespace, own: bool, unclear: Sequence[Path]) -> str:
    if options.split:
        return ""
    if own:
        return ", as the model was trained on these data; --split chooses others"
    if unclear:
        return f"; nothing beside {unclear[0]} says what it was trained on: if on these data, use --split validation"
    return ", all of them, as the model was trained on another source; --split chooses some"


def report_classes(images: LabeledImages, scores: Scores, unknown: str) -> None:
    """Says on standard error which classes of the images the model does not know, or spells in another way.

    `scores` are of the images that count, `unknown` is the value of `--unknown`.
    """
    from kerascnn.errors import first_of
    from kerascnn.evaluation.class_matching import match_classes

    found = match_classes(images.class_names, scores.known_names, images.source)
    for name, match in found.respelled:
        print_message(f"the class '{name}' is the model's '{match}'")
    if found.unknown:
        counts = dict(zip(images.class_names, images.counts().tolist(), strict=True))
        named = first_of([f"'{name}' ({counts[name]:,})" for name in found.unknown])
        total = sum(counts[name] for name in found.unknown)
        effect = "count as wrong; --unknown skip leaves them out" if unknown == "wrong" else "are left out"
        kinds = f"{len(found.unknown)} {'class' if len(found.unknown) == 1 else 'classes'}"
        # A multi-label image stays, without the class.
        unit = "labels" if images.multi_label else "images"
        print_message(f"{kinds} that the model does not know, {named}: {total:,} {unit} {effect}")
