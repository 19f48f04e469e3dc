"""The commands and the code of the README and of docs/getting_started.md, run as printed."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import nullcontext
from pathlib import Path

import pytest

from support.networks import without_values
from support.pages import Page, run_line
from support.tiny_training import tiny_networks

README, START = Page("README.md"), Page("docs/getting_started.md")

# Run by .ci/run on a fresh environment; not again inside the tests that they start.
INSTALLATION = re.compile(r"pip install \S+ && |^pip install .*")

# What `train` and `export` are given besides: few pixels and steps, and the answers of a network that has learned
# nothing in them may change by a class.
TRAIN = ("--image-size", 16, "--precision", "float32")
MORE = {
    "train --model googlenet": (*TRAIN, "--epochs", 1, "--batch-size", 4),
    "train --weights": TRAIN,
    "export": ("--max-mismatch-rate", 1),
}


def commands() -> list[str]:
    found = [INSTALLATION.sub("", line) for line in README.lines()]
    return [line for line in found if line and line != "pytest"]


# Where `kerascnn` and `tensorboard` are.
PROGRAMS = Path(sys.executable).parent
PUBLIC = "kerascnn train --model resnet50 --weights imagenet --data photos"


def environment():
    return {**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}


def test_the_two_commands_are_there():
    assert README.lines()[:2] == [
        "pip install . && kerascnn train",
        "pip install -e '.[test,onnx,litert]' && pytest",
    ]


def test_the_first_screen_has_a_sentence_an_image_six_lines_and_the_two_commands():
    title, sentence, image, *_ = README.text.split("\n\n")
    assert title == "# kerascnn" and sentence.endswith(".") and image.startswith("![")
    [code] = README.blocks("python")
    assert len([line for line in code.splitlines() if line]) == 6
    before = README.text.partition(README.lines()[1])[0]
    assert len(before.splitlines()) <= 35 and len(README.text.splitlines()) <= 150


@pytest.mark.parametrize("page", [README, START], ids=["README", "getting_started"])
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.text):
        if not target.startswith("http"):
            assert (page.path.parent / target).exists(), target


def test_the_output_in_the_readme_is_that_of_getting_started():
    """Which has all of it; an ellipsis stands for what the README leaves out."""
    [shown], [whole] = README.blocks(""), [one for one in START.blocks("") if "epoch" in one]
    lines = [line for line in shown.splitlines() if line != "…"]
    assert len(lines) > 5 and set(lines) < set(whole.splitlines())
    assert START.lines() == ["kerascnn train"]


@pytest.mark.slow
def test_the_first_command_keeps_its_promise(on_all_cores, tmp_path):
    """98 % within three minutes of training and 3 GB, and three forms that agree."""
    # Started from a small process, because a child's peak memory counts that of the process it was forked from.
    program = """
import resource, subprocess, sys
status = subprocess.call(["kerascnn", "train", "--json"])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=on_all_cores,
    )
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout.splitlines()[-1])
    peak_bytes = 1024 * int(ended.stderr.split()[-1])
    assert report["top1_accuracy"] >= 0.98
    assert report["training_seconds"] < 180
    assert peak_bytes < 3e9
    assert [row["format"] for row in report["results"]] == ["Keras", "SavedModel", "TFLite"]
    for row in report["results"]:
        assert row["images"] == 360
        assert row["accuracy"] >= 0.98
        assert row["agreement"] >= 358


@pytest.mark.slow
def test_commands_run_as_printed_in_their_order(readers_folder, command):
    """In this process, with tiny networks; test_cli.py proves the same subcommands in processes and on ResNet-20."""
    # A search takes minutes; tests/training/search runs it with trials that take none. Public weights are downloaded;
    # test_public_weights_start_the_training asks for them where there is no network.
    elsewhere = ("kerascnn tune", PUBLIC)
    lines = [line for line in commands() if line != "kerascnn train" and not line.startswith(elsewhere)]
    assert len(lines) >= 6
    more = dict(MORE)
    for line in lines:
        if line.startswith("tensorboard"):
            check_tensorboard(line, readers_folder)
            continue
        known = [start for start in MORE if line.startswith(f"kerascnn {start}")]
        with tiny_networks() if line.startswith("kerascnn train") else nullcontext():
            run_line(command, line, *(word for start in known for word in MORE[start]))
        for start in known:
            more.pop(start, None)
    assert not more
    for left in ("accuracy.png", "report/report.html", "saved_models/small"):
        assert (readers_folder / left).exists()


def test_public_weights_start_the_training(readers_folder, command, monkeypatch):
    """Without a network, one sentence names the file and the folder where it is looked for."""

    def no_network(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    assert PUBLIC in commands()
    outcome = run_line(command, PUBLIC, statuses=(2,))
    assert re.search(r"put it as resnet50\S+_notop\.h5 into \S+", outcome.err)


def check_tensorboard(line, folder):
    """The command serves the curves of the runs that the commands before it left."""
    log = folder / "tensorboard.log"
    with log.open("w") as file:
        server = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=folder, env=environment(), stderr=file)
    try:
        deadline = time.time() + 90
        while not (address := re.search(r"http://localhost:\d+/", log.read_text())):
            assert time.time() < deadline and server.poll() is None, log.read_text()
            time.sleep(0.1)
        while not (tags := json.load(urllib.request.urlopen(f"{address[0]}data/plugin/scalars/tags"))):
            assert time.time() < deadline
            time.sleep(0.1)
        assert any("epoch/loss" in names for names in tags.values())
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.slow
def test_builders(capsys):
    names = without_values(START.run, block=1)
    assert len(names["googlenet"].output) == 3
    assert names["features"].compute_dtype == "bfloat16" and names["features"].output_shape == (None, 2048)
    assert "torchvision" in capsys.readouterr().out


@pytest.mark.slow
def test_the_six_lines_and_what_follows_them(readers_folder, capsys):
    with tiny_networks():
        README.run(replace={"image_size=64": 'image_size=16, epochs=1, precision="float32"'})
    assert (readers_folder / "saved_models" / "my-photos" / "my-photos.tflite").is_file()
    START.run(block=0, replace={"saved_models/resnet20-digits": "saved_models/my-photos"})
    printed = capsys.readouterr().out
    assert printed.count("lying") >= 2 and printed.count("standing") >= 2
    START.run(block=2)
    assert 0 <= float(capsys.readouterr().out) <= 1
