"""What many tests share: small pictures, short trainings, the command line in this process."""

from __future__ import annotations

import http.server
import os
import threading

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerascnn import data
from kerascnn.cli import main

CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
if CORES and (worker := os.environ.get("PYTEST_XDIST_WORKER")):
    # A core each: threads of one process on all cores wait for each other while the other process has a core.
    os.sched_setaffinity(0, [sorted(CORES)[int(worker.removeprefix("gw")) % len(CORES)]])

# The files that take longest, the longest first: at the end, one process would be left with one of them.
LONGEST = ("test_readme.py", "test_registry.py", "test_every_form.py", "test_cli.py", "test_kills.py", "test_export.py")


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Manifests and downloads of the tests, away from the user's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["KERASCNN_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def on_all_cores():
    """To be called in a child process that is to have the cores that its users' has."""
    return lambda: CORES and os.sched_setaffinity(0, CORES)


@dataclass
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def command(capsys):
    """Runs the command line in this process."""

    def run(*arguments) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(ended.value.code, captured.out, captured.err)

    return run


def photograph(seed: int, kind: str, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """A smooth random picture, horizontally or vertically striped, so that there is something to learn."""
    generator = np.random.default_rng(seed)
    width, height = size
    colours = generator.integers(0, 256, (2, 3))
    along = np.arange(height)[:, None] if kind == "lying" else np.arange(width)[None, :]
    stripes = np.broadcast_to((along // generator.integers(5, 12)) % 2, (height, width))
    noise = generator.normal(0, 8, (height, width, 3))
    return Image.fromarray(np.clip(colours[stripes] + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    """A folder of 2 x 20 JPEG files, and three files that are no pictures."""
    folder = tmp_path_factory.mktemp("photographs") / "stripes"
    for kind in ("lying", "standing"):
        (folder / kind).mkdir(parents=True)
        for number in range(20):
            photograph(1000 * (kind == "lying") + number, kind).save(folder / kind / f"{number}.jpg", quality=90)
    (folder / "lying" / "empty.jpg").write_bytes(b"")
    (folder / "lying" / "notes.txt").write_text("not a picture")
    whole = (folder / "standing" / "0.jpg").read_bytes()
    (folder / "standing" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(scope="session")
def digits() -> data.DataSet:
    return data.load("digits")


@pytest.fixture(scope="session")
def few_digits() -> data.DataSet:
    return data.load("digits", limit=200)


@pytest.fixture(scope="session")
def digits_recipe():
    """ResNet-20's recipe, shortened to what a test can wait for."""
    from kerascnn.training import Recipe

    # In larger batches there would be too few steps for the moving averages, and one class for all pictures.
    recipe = Recipe.for_model("resnet20").with_values(epochs=3, batch_size=8, precision="float32")
    return replace(recipe, schedule=replace(recipe.schedule, warmup_epochs=0.5))


@pytest.fixture(scope="session")
def digits_run(few_digits, digits_recipe, tmp_path_factory):
    """A ResNet-20 trained for a moment."""
    from kerascnn.training import train

    return train(digits_recipe, few_digits, runs=tmp_path_factory.mktemp("digits") / "runs", limit=200)


@pytest.fixture(scope="session")
def googlenet_run(photographs, tmp_path_factory):
    """A GoogLeNet with its auxiliary heads, trained for a moment in bfloat16."""
    from kerascnn.training import Recipe, train

    recipe = Recipe.for_model("googlenet").with_values(
        epochs=2, batch_size=8, image_size=72, precision="mixed_bfloat16"
    )
    return train(recipe, data.load(photographs), runs=tmp_path_factory.mktemp("stripes") / "runs")


@pytest.fixture(scope="session")
def resnet1202():
    """Between preprocessing and labels, as `train` assembles it, with blocks that begin close to the identity."""
    import keras

    from kerascnn.applications import ResNet1202
    from kerascnn.applications.deep import functional
    from kerascnn.layers import ClassLabels, Preprocessing

    pixels = keras.Input((16, 16, 3), name="pixels")
    scaled = Preprocessing((3,), std=60.0, name="preprocessing")(pixels)
    network = ResNet1202(input_tensor=scaled)
    for layer in network.layers:
        if layer.name.endswith("_2_bn"):
            layer.gamma.assign(0.05 * layer.gamma)
    labels = ClassLabels([str(number) for number in range(10)], name="labels")
    return functional(network.input, labels(network.output), name=network.name)


class FileServer(http.server.ThreadingHTTPServer):
    """Gives files by their names, and counts what it is asked for.

    Attributes:
        files: name to contents.
        asked: the names, in order; of a download that goes on, with its range.
        slowly: whether the second half of a file waits for `go_on`.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), FileHandler)
        self.files, self.asked, self.slowly, self.go_on = {}, [], False, threading.Event()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/models/{name}"

    def handle_error(self, request, client_address):
        pass


class FileHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        begins = self.headers.get("Range")
        self.server.asked.append((name, begins) if begins else name)
        contents = self.server.files.get(name)
        begin = int(begins.removeprefix("bytes=").removesuffix("-")) if begins else 0
        self.send_response(404 if contents is None else 206 if begin else 200)
        body = (contents or b"")[begin:]
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(contents) - 1}/{len(contents)}")
        self.send_header("Connection", "close")
        self.end_headers()
        half = len(body) // 2 if self.server.slowly else 0
        self.wfile.write(body[:half])
        self.wfile.flush()
        if half:
            self.server.go_on.wait(30)
        self.wfile.write(body[half:])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def file_server(monkeypatch):
    """A `FileServer` on this machine."""
    monkeypatch.setenv("no_proxy", "*")
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()
