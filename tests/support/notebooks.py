"""Notebooks, run cell by cell; `PYTHONPATH=tests python -m support.notebooks FILES` runs them and keeps the outputs."""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from support.pages import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# Of any one cell.
SECONDS = 600


def read(file: Path) -> nbformat.NotebookNode:
    """A notebook, which is valid."""
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cells of code that are run: all but the installation, which is done."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and not cell.source.startswith("%pip")]


@contextmanager
def kernel(folder: Path) -> Iterator[NotebookClient]:
    """A new process that runs cells in a folder."""
    client = NotebookClient(
        nbformat.v4.new_notebook(),
        kernel_name="python3",
        timeout=SECONDS,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    # IPython keeps a history. What libraries say is to be seen as readers see it.
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment["IPYTHONDIR"] = str(folder / ".ipython")
    with client.setup_kernel(env=environment):
        yield client


def run(client: NotebookClient, notebook: nbformat.NotebookNode, shorter: dict[str, str] | None = None) -> None:
    """Runs a notebook's cells, whose outputs it then has; raises CellExecutionError if one fails.

    `shorter` maps texts of the code to others that take less time; each must occur.
    """
    cells = code_cells(notebook)
    for old, new in (shorter or {}).items():
        assert any(old in cell.source for cell in cells), old
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    client.reset_execution_trackers()
    client.nb = notebook
    for number, cell in enumerate(cells, start=1):
        client.execute_cell(cell, notebook.cells.index(cell), execution_count=number)
        # What stays of a progress bar.
        cell.outputs = [one for one in cell.outputs if one.get("data", {}).get("text/html") != ""]
        for data in (one.data for one in cell.outputs if "image/png" in one.get("data", {})):
            data["image/png"] = smaller(data["image/png"])


def smaller(png: str) -> str:
    """A PNG image of 256 colors, both in base 64: figures have no more, and tiles of photographs lose little."""
    written = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(written, "png", optimize=True)
    return base64.b64encode(written.getvalue()).decode()


def main(files: Sequence[str]) -> None:
    """Runs notebooks in full, each in a process of its own, and writes their outputs into their files."""
    for file in map(Path, files):
        notebook = read(file)
        with tempfile.TemporaryDirectory() as folder, kernel(Path(folder)) as client:
            run(client, notebook)
        notebook.metadata.language_info = {"name": "python"}
        file.write_text(nbformat.writes(notebook, version=4) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
