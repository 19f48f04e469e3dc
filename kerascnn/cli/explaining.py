"""`kerascnn explain`: shows which parts of an image a network's predictions depend on."""

from __future__ import annotations

import argparse
from pathlib import Path

from kerascnn.cli.arguments import Subcommands, positive
from kerascnn.cli.image_paths import add_model_and_images, open_images, open_model
from kerascnn.cli.loading import print_json


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `explain`."""
    explain = subcommands.add(
        "explain",
        _run_explain,
        "explain predictions with Grad-CAM, the first layer's filters and feature maps",
        "kerascnn explain runs/googlenet-pets-20261120-101500 cat.jpg dog.webp",
        "kerascnn explain model.keras holiday/ --to explained --top 1 --layers 'inception_4*'",
    )
    add_model_and_images(explain, "run folder, .keras or .h5 file")
    text = "folder for the written images (default: explanations)"
    explain.add_argument("--to", type=Path, default=Path("explanations"), metavar="FOLDER", help=text)
    explain.add_argument("--top", type=positive, default=3, metavar="K", help="number of classes (default: 3)")
    text = "draw feature maps of layers by name, with * and ? (default: the last of every size)"
    explain.add_argument("--layers", metavar="PATTERN", help=text)


def _run_explain(options: argparse.Namespace) -> int:
    images = open_images(options.images, "Explaining")
    from kerascnn.evaluation.explanation import Explainer, unique_name, write_explanation, write_filters

    explainer = Explainer(open_model(options))
    filters = write_filters(explainer, options.to)
    used = {filters.stem}
    explanations = [
        write_explanation(explainer, image, options.to, unique_name(image.path, used), options.top, options.layers)
        for image in images.readable
    ]
    if options.json:
        files = []
        for one in explanations:
            top = [{"label": best.label, "probability": best.probability} for best in one.classes]
            maps = {layer: str(path) for layer, path in one.activations.items()}
            files.append({"image": str(one.image), "top": top, "grad_cam": str(one.grad_cam), "activations": maps})
        model, layer = str(options.model), explainer.layer
        print_json({"model": model, "layer": layer, "filters": str(filters), "images": files})
    else:
        print(f"filters of the first layer: {filters}")
        for one in explanations:
            best = one.classes[0]
            print(f"{one.image}: {best.label} ({best.probability:.1%}); Grad-CAM: {one.grad_cam}")
            print(f"  feature maps of {len(one.activations)} layers: {one.grad_cam.with_suffix('')}")
    return images.status()
