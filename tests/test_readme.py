"""The README's commands and code, run as printed."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()

# Run by .ci/run on a fresh environment; not again inside the tests that they start.
INSTALLATION = re.compile(r"pip install \S+ && |^pip install .*")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands():
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    found = [INSTALLATION.sub("", line) for line in lines]
    return [line for line in found if line and line != "pytest"]


def environment():
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def test_the_two_commands_are_there():
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert lines[:2] == ["pip install . && kerascnn train", "pip install -e '.[test,onnx,litert]' && pytest"]


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (Path(__file__).parents[1] / target).exists(), target


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
    assert report["validation_accuracy"] >= 0.98
    assert report["training_seconds"] < 180
    assert peak_bytes < 3e9
    assert [row["form"] for row in report["rows"]] == ["Keras", "SavedModel", "TFLite"]
    for row in report["rows"]:
        assert row["pictures"] == 360
        assert row["accuracy"] >= 0.98
        assert row["agreeing"] >= 358


@pytest.fixture(scope="module")
def folder(photographs, tmp_path_factory):
    """A folder as the README's reader has it: photographs by class, and one more."""
    folder = tmp_path_factory.mktemp("reader")
    # Few, because the README trains a network as large as GoogLeNet on them.
    for kind in ("lying", "standing"):
        (folder / "photos" / kind).mkdir(parents=True)
        for number in range(6):
            shutil.copy(photographs / kind / f"{number}.jpg", folder / "photos" / kind)
    shutil.copy(photographs / "lying" / "3.jpg", folder / "cat.jpg")
    return folder


@pytest.mark.slow
def test_commands_run_as_printed_in_their_order(folder, on_all_cores):
    # A search takes minutes; tests/training/search runs it with trials that take none.
    shells = [line for line in commands() if line != "kerascnn train" and not line.startswith("kerascnn tune")]
    assert len(shells) >= 6
    for line in shells:
        if line.startswith("tensorboard"):
            check_tensorboard(line, folder)
            continue
        ended = subprocess.run(
            ["bash", "-c", line],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=600,
            preexec_fn=on_all_cores,
        )
        assert ended.returncode == 0, f"{line}\n{ended.stderr}"


def check_tensorboard(line, folder):
    """The command serves the curves of the runs that the commands before it left."""
    log = folder / "tensorboard.log"
    with log.open("w") as file:
        server = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=folder, env=environment(), stderr=file)
    try:
        deadline = time.time() + 90
        while not (address := re.search(r"http://localhost:\d+/", log.read_text())):
            assert time.time() < deadline and server.poll() is None, log.read_text()
            time.sleep(0.5)
        while not (tags := json.load(urllib.request.urlopen(f"{address[0]}data/plugin/scalars/tags"))):
            assert time.time() < deadline
            time.sleep(0.5)
        assert any("main/loss" in names for names in tags.values())
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.slow
def test_code_runs_as_printed(folder):
    program = "\n".join(blocks("python"))
    assert "kerascnn.applications.ResNet20" in program
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment(), capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 0, ended.stderr
