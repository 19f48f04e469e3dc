"""The commands, the space, the code and the cluster examples of docs/tuning.md, and the README's search."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from kerascnn.training import Recipe, Space
from kerascnn.training.search import cluster, trial_process
from kerascnn.training.search.cluster import ClusterMember, this_member
from support.messages import mentioning
from support.pages import Page, run_line
from support.tiny_training import tiny_networks

PAGE = Page("docs/tuning.md")
README = Page("README.md")


def commands(page):
    return [line for line in page.lines() if line.startswith("kerascnn tune") and "--workers" not in line]


@pytest.fixture
def fake_program(monkeypatch, fake, swift):
    """Runs every trial with the fake program."""
    monkeypatch.setattr(trial_process, "PROGRAM", (sys.executable, fake.__file__))


@pytest.mark.slow
@pytest.mark.parametrize("page", [pytest.param(PAGE, id="page"), pytest.param(README, id="README")])
def test_commands(page, command, photographs, fake_program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(photographs)
    lines = commands(page)
    assert lines
    for line in lines:
        # Three trials are enough.
        more = ["--max-trials", "3"] if "--max-trials" not in line and "--resume" not in line else []
        outcome = run_line(command, line, *more)
        assert "train it on all training images: kerascnn train --recipe searches/" in outcome.out


def test_the_space():
    [text] = [block for block in PAGE.blocks("yaml") if "apiVersion" not in block]
    recipe = Recipe.for_model("resnet20")
    space = Space.from_dict(yaml.safe_load(text), recipe)
    assert len(space.parameters) == 7
    assert space.values(recipe)["model.shortcut"] == "A"


def member_where(shell, monkeypatch, **variables):
    """The cluster member that a script's `kerascnn tune` is."""
    script = re.sub(r"(exec )?kerascnn tune[^'\n]*", "printenv", shell).replace("srun ", "")
    printed = subprocess.run(["bash", "-c", script], env={**os.environ, **variables}, capture_output=True, text=True)
    for line in printed.stdout.splitlines():
        if line.startswith("KERASTUNER_"):
            monkeypatch.setenv(*line.split("=", 1))
    return this_member()


def test_the_examples_of_clusters(monkeypatch):
    host = subprocess.run(["hostname"], capture_output=True, text=True).stdout.strip()
    [slurm] = PAGE.blocks("bash")
    assert member_where(slurm, monkeypatch, SLURM_PROCID="0") == ClusterMember("chief", f"{host}:8000")
    assert member_where(slurm, monkeypatch, SLURM_PROCID="3") == ClusterMember("worker3", f"{host}:8000")
    [text] = [block for block in PAGE.blocks("yaml") if "apiVersion" in block]
    _, job = yaml.safe_load_all(text)
    [container] = job["spec"]["template"]["spec"]["containers"]
    [script] = container["args"]
    assert member_where(script, monkeypatch, JOB_COMPLETION_INDEX="0") == ClusterMember("chief", "0.0.0.0:8000")
    assert member_where(script, monkeypatch, JOB_COMPLETION_INDEX="4") == ClusterMember("worker4", "tune-0.tune:8000")


def test_as_many_workers_as_gpus(config_of, begin, monkeypatch):
    from kerascnn.errors import InputError

    made = config_of({"batch_size": {"values": [8]}})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    with mentioning(InputError, "2 workers", "1 GPU"):
        cluster.LocalSearchWorkers(begin(made), 2)


@pytest.mark.slow
def test_code(photographs, fake_program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(photographs)
    PAGE.run(block=0, replace={"run = training.train": "# run = training.train"})
    with tiny_networks():
        PAGE.run(
            block=1,
            replace={"max_epochs=9": "max_epochs=2", "image_size=72": 'image_size=16, precision="float32"'},
        )
