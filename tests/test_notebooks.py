"""The notebooks run, here with tiny networks and few images; as committed, their outputs can be read without that."""

import base64
import io
import json
import re

import nbformat
import pytest
from PIL import Image

from support.notebooks import NOTEBOOKS, code_cells, kernel, read, run
from support.pages import ROOT

MOST_IMAGE_BYTES = 100_000

# What takes long; each notebook keeps its lines.
SHORTER = {
    "1-quickstart": {"epochs=8": "epochs=1", 'data.load("digits")': 'data.load("digits", limit=80)'},
    "2-transfer-learning": {
        "side: int = 53": "side: int = 106",
        "epochs=5": "epochs=1",
        "epochs=12": "epochs=1",
        '"digits")': '"digits", limit=80)',
    },
    # In 16 bits, Keras' top-5 accuracy takes no heads of the tiny network.
    "3-experiments": {
        "epochs=5": "epochs=1",
        '"epochs=2"': '"epochs=1", "precision=float32"',
        '"digits")': '"digits", limit=100)',
    },
    # A network that has learned nothing changes its mind in integers.
    "4-quantization": {
        "epochs=6": "epochs=1",
        'data.load("digits")': 'data.load("digits", limit=80)',
        '"float16", "dynamic", "int8", "int16x8"': '"int8"',
        "quantize=QUANTIZATIONS)": "quantize=QUANTIZATIONS, tolerance=export.Tolerance(max_mismatch_rate=1))",
    },
    "5-your-own-network": {
        "epochs: 10": "epochs: 1",
        "epochs=10": "epochs=1",
        'data.load("digits")': 'data.load("digits", limit=80)',
        'quantize=["none", "int8"])': 'quantize=["none", "int8"], tolerance=export.Tolerance(max_mismatch_rate=1))',
    },
}

# Every network that a recipe names is a convolution and a dense layer. Of the many in one process TensorFlow says that
# they are traced again and again.
TINY = f"""
import sys
import tensorflow
tensorflow.get_logger().setLevel("ERROR")
sys.path[:0] = {[str(ROOT), str(ROOT / "tests")]}
from support.tiny_training import tiny_networks
tiny_networks().start()
"""


def test_there_are_five():
    assert [file.stem for file in NOTEBOOKS] == list(SHORTER)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One process for all: each would import TensorFlow for seconds."""
    with kernel(tmp_path_factory.mktemp("notebooks")) as client:
        run(client, nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TINY)]))
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_runs_as_it_is(file, client):
    notebook = read(file)
    before = nbformat.v4.new_code_cell("%reset -f")
    notebook.cells.insert(0, before)
    run(client, notebook, SHORTER[file.stem])
    check_outputs(notebook)


@pytest.mark.slow
def test_progress_changes_in_place_and_goes(client, monkeypatch):
    """Also where IPython asks for colors: messages and tables are plain text, not red and not a block of HTML each."""
    code = """
from kerascnn import console
with console.track_bytes("weights <1>", 4_000_000, 0) as more:
    more(1_000_000)
    console.print_text(console.messages(), "half of it")
made = console.table("", "top-1")
made.add_row("int8", "99.44%")
console.output().print(made)
"""
    command = (
        """!{sys.executable} -c 'from kerascnn.console import messages as m; print(m().is_terminal, m().is_jupyter)'"""
    )
    shown, process = [], client.process_message

    def watch(message, *place):
        shown.append(message["content"].get("data", {}).get("text/html", ""))
        return process(message, *place)

    monkeypatch.setattr(client, "process_message", watch)
    cells = [nbformat.v4.new_code_cell(source) for source in (code, f"import sys\n{command}")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    run(client, notebook)
    assert cells[1].outputs[0].text.split() == ["False", "False"]
    assert any('weights &lt;1&gt; <progress value="0" max="4000000">' in html for html in shown)
    [output] = cells[0].outputs
    assert output.name == "stdout" and output.text.startswith("half of it\n") and "99.44%" in output.text
    check_outputs(nbformat.v4.new_notebook(cells=cells[:1]))


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_committed_outputs_are_readable(file):
    notebook = read(file)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) / 2
    assert any("image/png" in one.get("data", {}) for cell in cells for one in cell.outputs)
    assert not any(cell.metadata for cell in notebook.cells), "a time or an editor's settings"
    check_outputs(notebook)


def check_outputs(notebook):
    """No error, no red text, no control character, no place on a machine, no large image."""
    for cell in notebook.cells:
        for one in cell.get("outputs", ()):
            assert one.output_type != "error" and one.get("name") != "stderr", one
            data = one.get("data", {})
            if png := data.pop("image/png", None):
                assert len(base64.b64decode(png)) < MOST_IMAGE_BYTES
                Image.open(io.BytesIO(base64.b64decode(png))).verify()
            text = json.dumps(one, ensure_ascii=False)
            assert not re.search(r"\\u00[01]|\\r|\\b", text), text
            assert not re.search(r"(?<![\w.:/])/(tmp|home|root|work|usr|opt|var|Users|content)/|[A-Z]:\\\\", text), text


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_text_leads_somewhere(file):
    """It begins with a title and the line that installs the package; links are files of the repository."""
    notebook = read(file)
    assert notebook.cells[0].source.startswith("# ")
    assert next(cell for cell in notebook.cells if cell.cell_type == "code").source == "%pip install --quiet kerascnn"
    text = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    links = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if not target.startswith("http")]
    assert links
    for target in links:
        assert (file.parent / target).exists(), target
