"""Finds what this package wrote into a folder of images, by its files, so that it never becomes a class."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kerascnn.data.ingestion.file_tree import FileTree, walk


class Output(NamedTuple):
    """A kind of folder: the file by which it is found, and names of which one must be beside it, if there are any."""

    kind: str
    file: str
    beside: tuple[str, ...]


OUTPUTS = (
    Output("a run", "recipe.yaml", ("model.keras", "history.csv", "checkpoints")),
    Output("a search", "search.yaml", ("trials", "tensorboard", "best.yaml", "report.json", "oracle.json")),
    Output("an export", "verification.json", ("model_card.md",)),
    Output("an evaluation report", "metrics.json", ("report.html", "predictions.csv")),
    Output("an experiment", "results.json", ("table.md",)),
    Output("explanations", "filters.png", ()),
    Output("quarantined files", "list.jsonl", ()),
)


def without_own_outputs(tree: FileTree) -> FileTree:
    """The tree without the folders that this package wrote; a folder of nothing else is left out as a whole."""
    kinds = {output.file: output for output in OUTPUTS}
    found: dict[str, str] = {}
    for path in tree.files:
        folder, _, name = path.rpartition("/")
        if folder and name in kinds and _is_output(tree.subtree(folder), kinds[name]):
            found[folder] = kinds[name].kind
    # A folder of --to, unless it is all there is.
    ingested = [name for name in tree.folders if (tree.root / tree.base / name / "kerascnn-manifest.jsonl").exists()]
    if tree.without(dict.fromkeys(ingested, "")).images:
        found |= dict.fromkeys(ingested, "images")
    # Those inside others are left out with them.
    found = {folder: kind for folder, kind in found.items() if not any(up in found for up in _above(folder))}
    rest = tree.without(found)
    whole: dict[str, str] = {}
    for folder, kind in found.items():
        empty = [up for up in (*_above(folder), folder) if not rest.subtree(up).images]
        whole[empty[0]] = kind
    return tree.without({folder: f"{kind} that kerascnn wrote" for folder, kind in whole.items()})


def own_output(folder: Path) -> str | None:
    """The kind of output of this package that a folder is, such as "a run"; None if it is none."""
    found = (output for output in OUTPUTS if (folder / output.file).is_file())
    return next((output.kind for output in found if _is_output(walk(folder), output)), None)


def _above(folder: str) -> list[str]:
    """The folders that hold a folder, the outermost first."""
    parts = folder.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _is_output(tree: FileTree, output: Output) -> bool:
    if output.kind == "explanations":
        # Each image's feature maps are in a folder of its name.
        images = {os.path.splitext(name)[0] for name in tree.top_files if name != output.file}
        numbered = all(re.search(r"/\d\d-[^/]*\.png$", path) for path in tree.files if "/" in path)
        return numbered and images <= set(tree.folders)
    if output.kind == "quarantined files":
        with suppress(OSError):
            return '"moved_to"' in tree.read(output.file)[:100_000].partition("\n")[0]
    return any(name in output.beside for name in (*tree.top_files, *tree.folders))
