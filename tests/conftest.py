"""What many tests share: small images, short trainings, the command line in this process."""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import re
import shutil
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerascnn import data
from kerascnn.cli import main
from support import bounds, budgets
from support.servers import FileServer, serving

CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
if CORES and (worker := os.environ.get("PYTEST_XDIST_WORKER")):
    # A core each: threads of one process on all cores wait for each other while the other process has a core.
    os.sched_setaffinity(0, [sorted(CORES)[int(worker.removeprefix("gw")) % len(CORES)]])


def pytest_addoption(parser):
    parser.addoption("--budgets", action="store_true", help="print what each file took beside its budget")


# Trainings of whole networks, which take each process seconds, as does a program that has imported TensorFlow.
TRAINED = {"digits_run", "googlenet_run"}
SHARED = re.compile(r"\b(?:(?P<networks>digits_run|googlenet_run)|(?P<forks>forks))\b")


@functools.cache
def scope_of(file: Path) -> str:
    """What one process runs: a file, or all files that share what takes a process seconds."""
    shared = SHARED.search(file.read_text(encoding="utf-8"))
    return shared.lastgroup if shared else str(file)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_make_scheduler(config, log):
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ScopeScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return scope_of(config.rootpath / nodeid.partition("::")[0])

    return ScopeScheduling(config, log)


@functools.cache
def compares_numbers(file: Path) -> bool:
    return bool(re.search(r"assert_allclose|bounds\.check", file.read_text(encoding="utf-8")))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if TRAINED & set(item.fixturenames):
            item.add_marker("slow")
        if compares_numbers(item.path):
            item.add_marker("numeric")
    longest = {}
    for item in items:
        scope = scope_of(item.path)
        longest[scope] = max(longest.get(scope, 0), budgets.of(item.nodeid))
    # The longest first: at the end, one process would be left with one of them.
    items.sort(key=lambda item: (-longest[scope_of(item.path)], scope_of(item.path), -budgets.of(item.nodeid)))


def pytest_collection_finish(session):
    # What is imported by now stays; looking through it again and again takes a tenth of the tests' time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def pytest_terminal_summary(terminalreporter):
    if terminalreporter.config.getoption("--budgets"):
        for line in budgets.lines(terminalreporter.stats):
            terminalreporter.write_line(line)


# Bytes by which a process may grow before garbage is collected.
GROWTH = 200e6


def resident() -> int:
    """The bytes of this process that are in memory; 0 where the system does not say."""
    file = Path("/proc/self/statm")
    return int(file.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if file.exists() else 0


def collect() -> int:
    """Frees networks that are in circles, also what glibc keeps of their memory, and returns what is resident."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
    return resident()


@pytest.fixture(scope="session")
def after_collection() -> list[int]:
    """The bytes that were in memory after the last collection of garbage."""
    return [resident()]


@pytest.fixture(autouse=True)
def freed(after_collection):
    """Keeps the process small: what tests leave in circles would fill the memory."""
    yield
    if resident() > after_collection[0] + GROWTH:
        after_collection[0] = collect()


@pytest.fixture(scope="session", autouse=True)
def margins():
    """Where margins are wanted, has numpy's comparisons record theirs too."""
    with pytest.MonkeyPatch.context() as patched:
        if os.environ.get(bounds.MARGINS):
            bounds.record_assert_allclose(patched)
        yield


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory):
    """Where temporary files of the tests go: those of processes that are killed go when pytest's own do."""
    with pytest.MonkeyPatch.context() as patched:
        folder = str(tmp_path_factory.mktemp("tmp"))
        patched.setenv("TMPDIR", folder)
        patched.setattr(tempfile, "tempdir", folder)
        yield


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
    """A smooth random image, horizontally or vertically striped, so that there is something to learn."""
    generator = np.random.default_rng(seed)
    width, height = size
    colours = generator.integers(0, 256, (2, 3))
    along = np.arange(height)[:, None] if kind == "lying" else np.arange(width)[None, :]
    stripes = np.broadcast_to((along // generator.integers(5, 12)) % 2, (height, width))
    noise = generator.normal(0, 8, (height, width, 3))
    return Image.fromarray(np.clip(colours[stripes] + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    """A folder of 2 x 20 JPEG files, and three files that are no images."""
    folder = tmp_path_factory.mktemp("photographs") / "stripes"
    for kind in ("lying", "standing"):
        (folder / kind).mkdir(parents=True)
        for number in range(20):
            photograph(1000 * (kind == "lying") + number, kind).save(folder / kind / f"{number}.jpg", quality=90)
    (folder / "lying" / "empty.jpg").write_bytes(b"")
    (folder / "lying" / "notes.txt").write_text("not an image")
    whole = (folder / "standing" / "0.jpg").read_bytes()
    (folder / "standing" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture
def readers_folder(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder as the pages' reader has it: `photos`, photographs by class, and `cat.jpg`."""
    for kind in ("lying", "standing"):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for number in range(6):
            shutil.copy(photographs / kind / f"{number}.jpg", tmp_path / "photos" / kind)
    shutil.copy(photographs / "lying" / "3.jpg", tmp_path / "cat.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def holdout(photographs, tmp_path):
    """Ten photographs that `tiny_stripes_run` was not trained on, six lying and four standing: rotated copies."""
    for kind, other, count in (("lying", "standing", 6), ("standing", "lying", 4)):
        (tmp_path / "holdout" / kind).mkdir(parents=True)
        for number in range(count):
            with Image.open(photographs / other / f"{number}.jpg") as image:
                image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "holdout" / kind / f"new{number}.jpg")
    return tmp_path / "holdout"


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

    # In larger batches there would be too few steps for the moving averages, and one class for all images.
    recipe = Recipe.for_model("resnet20").with_values(epochs=3, batch_size=8, precision="float32")
    return replace(recipe, schedule=replace(recipe.schedule, warmup_epochs=0.5))


@pytest.fixture(scope="session")
def digits_run(few_digits, digits_recipe, tmp_path_factory):
    """A ResNet-20 trained for a moment."""
    from kerascnn.training import train

    return train(digits_recipe, few_digits, runs=tmp_path_factory.mktemp("digits") / "runs", limit=200)


@pytest.fixture(scope="session")
def tiny_digits_run(few_digits, digits_recipe, tmp_path_factory):
    """A tiny network in place of the ResNet-20, for what is about commands and files rather than networks."""
    from kerascnn.training import train
    from support.tiny_training import tiny_networks

    with tiny_networks():
        return train(digits_recipe, few_digits, runs=tmp_path_factory.mktemp("tiny") / "runs", limit=200)


@pytest.fixture(scope="session")
def tiny_stripes_run(photographs, tmp_path_factory):
    """A tiny network in place of the GoogLeNet, with an auxiliary head."""
    from kerascnn.training import Recipe, train
    from support.tiny_training import tiny_networks

    recipe = Recipe.for_model("googlenet").with_values(epochs=2, batch_size=8, image_size=16, precision="float32")
    with tiny_networks():
        return train(recipe, data.load(photographs), runs=tmp_path_factory.mktemp("tiny") / "runs")


@pytest.fixture(scope="session")
def googlenet_run(photographs, tmp_path_factory):
    """A GoogLeNet with its auxiliary heads, trained for a moment in bfloat16."""
    from kerascnn.training import Recipe, train

    recipe = Recipe.for_model("googlenet").with_values(
        epochs=2, batch_size=8, image_size=72, precision="mixed_bfloat16"
    )
    return train(recipe, data.load(photographs), runs=tmp_path_factory.mktemp("stripes") / "runs")


@pytest.fixture
def file_server(monkeypatch):
    """A `FileServer` on this machine."""
    monkeypatch.setenv("no_proxy", "*")
    with serving(FileServer()) as server:
        yield server
