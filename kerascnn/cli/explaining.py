"""`kerascnn explain`: what a network looks at."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.cli.arguments import Subcommands, positive
from kerascnn.cli.image_paths import open_images
from kerascnn.cli.loading import print_json

if TYPE_CHECKING:
    from kerascnn.evaluation.explanation_images import Explained


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds it to the command."""
    explain = subcommands.add(
        "explain",
        run_explain,
        "show what a network looks at: Grad-CAM, its first filters, the maps inside it",
        "kerascnn explain runs/googlenet-pets-20261120-101500 cat.jpg dog.webp",
        "kerascnn explain model.keras holiday/ --to seen --top 1 --layers 'inception_4*'",
    )
    explain.add_argument("model", type=Path, metavar="MODEL", help="run folder or .keras file")
    explain.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files, and folders of them")
    explain.add_argument(
        "--to",
        type=Path,
        default=Path("explanations"),
        metavar="FOLDER",
        help="gets the images (default: explanations)",
    )
    explain.add_argument("--top", type=positive, default=3, metavar="K", help="how many classes (default: 3)")
    explain.add_argument(
        "--layers",
        metavar="PATTERN",
        help="whose maps are drawn, by name with * and ? (default: the last of every size)",
    )


def run_explain(options: argparse.Namespace) -> int:
    """`kerascnn explain`."""
    images = open_images(options.images, "Explaining")
    from kerascnn.console import output
    from kerascnn.evaluation import open_predictor
    from kerascnn.evaluation.explanation import Explainer
    from kerascnn.evaluation.explanation_images import Names, write_explanation, write_filters

    explainer = Explainer(open_predictor(options.model))
    filters = write_filters(explainer, options.to)
    names = Names()
    explained = [
        write_explanation(explainer, image, options.to, names.of(image.path), options.top, options.layers)
        for image in images.readable
    ]
    if options.json:
        print_json(
            {
                "model": str(options.model),
                "layer": explainer.layer,
                "filters": str(filters),
                "images": [_as_dict(one) for one in explained],
            }
        )
    else:
        lines = [f"first layer's filters: {filters}"]
        for one in explained:
            best = one.classes[0]
            lines.append(f"{one.image}: {best.label} ({best.probability:.1%}); Grad-CAM: {one.grad_cam}")
            lines.append(f"  maps of {len(one.activations)} layers: {one.grad_cam.with_suffix('')}")
        output().print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return images.status()


def _as_dict(one: Explained) -> dict[str, Any]:
    return {
        "image": str(one.image),
        "top": [{"label": best.label, "probability": best.probability} for best in one.classes],
        "grad_cam": str(one.grad_cam),
        "activations": {layer: str(path) for layer, path in one.activations.items()},
    }
