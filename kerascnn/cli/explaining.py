"""`kerascnn explain`: what a network looks at."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import Verbs, positive
from .loading import print_json
from .pictures import open_pictures

if TYPE_CHECKING:
    from kerascnn.evaluation.explanation_pictures import Explained


def add_verbs(verbs: Verbs) -> None:
    """Adds it to the command."""
    explain = verbs.add(
        "explain",
        run_explain,
        "show what a network looks at: Grad-CAM, its first filters, the maps inside it",
        "kerascnn explain runs/googlenet-pets-20261120-101500 cat.jpg dog.webp",
        "kerascnn explain model.keras holiday/ --to seen --top 1 --layers 'inception_4*'",
    )
    explain.add_argument("model", type=Path, metavar="MODEL", help="run folder or .keras file")
    explain.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="picture files, and folders of them")
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
    pictures = open_pictures(options.images, "Explaining")
    from kerascnn.console import output
    from kerascnn.evaluation import open_predictor
    from kerascnn.evaluation.explanation import Explainer
    from kerascnn.evaluation.explanation_pictures import Names, write_explanation, write_filters

    explainer = Explainer(open_predictor(options.model))
    filters = write_filters(explainer, options.to)
    names = Names()
    explained = [
        write_explanation(explainer, picture, options.to, names.of(picture.path), options.top, options.layers)
        for picture in pictures.readable
    ]
    if options.json:
        print_json(
            {
                "model": str(options.model),
                "layer": explainer.layer,
                "filters": str(filters),
                "pictures": [_as_dict(one) for one in explained],
            }
        )
    else:
        lines = [f"first layer's filters: {filters}"]
        for one in explained:
            best = one.classes[0]
            lines.append(f"{one.picture}: {best.label} ({best.probability:.1%}); Grad-CAM: {one.grad_cam}")
            lines.append(f"  maps of {len(one.activations)} layers: {one.grad_cam.with_suffix('')}")
        output().print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return pictures.status()


def _as_dict(one: Explained) -> dict[str, Any]:
    return {
        "image": str(one.picture),
        "top": [{"label": best.label, "probability": best.probability} for best in one.classes],
        "grad_cam": str(one.grad_cam),
        "activations": {layer: str(path) for layer, path in one.activations.items()},
    }
