"""The commands, the space, the code and the cluster examples of docs/tuning.md, and the README's search."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kerascnn.applications import registry
from kerascnn.training import Recipe, Space
from kerascnn.training.search import local_workers, plan
from kerascnn.training.search.cluster import Member, member_of

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language, text=PAGE):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text):
    return [
        line
        for block in blocks("sh", text)
        for line in block.splitlines()
        if line.startswith("kerascnn tune") and "--workers" not in line
    ]


@pytest.fixture
def fake_program(monkeypatch, fake):
    """Has the fake program run every trial."""
    monkeypatch.setattr(plan, "PROGRAM", (sys.executable, fake.__file__))


@pytest.mark.slow
@pytest.mark.parametrize("text", [pytest.param(PAGE, id="page"), pytest.param(README, id="README")])
def test_commands(text, command, photographs, fake_program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(photographs)
    lines = commands(text)
    assert lines
    for line in lines:
        # What is new in it is not how long it takes.
        more = ["--max-trials", "3"] if "--max-trials" not in line and "--resume" not in line else []
        outcome = command(*shlex.split(line)[1:], *more)
        assert outcome.status == 0, outcome.err
        assert "train it on all training pictures: kerascnn train --recipe searches/" in outcome.out


def test_the_space():
    [text] = [block for block in blocks("yaml") if "apiVersion" not in block]
    recipe = Recipe.for_model("resnet20")
    space = Space.from_dict(yaml.safe_load(text), recipe)
    assert len(space.parameters) == 7
    assert space.values(recipe)["model.shortcut"] == "A"


def member_where(shell, monkeypatch, **variables):
    """Who a script's process is that runs `kerascnn tune`."""
    script = re.sub(r"(exec )?kerascnn tune[^'\n]*", "printenv", shell).replace("srun ", "")
    said = subprocess.run(["bash", "-c", script], env={**os.environ, **variables}, capture_output=True, text=True)
    for line in said.stdout.splitlines():
        if line.startswith("KERASTUNER_"):
            monkeypatch.setenv(*line.split("=", 1))
    return member_of()


def test_the_examples_of_clusters(monkeypatch):
    host = subprocess.run(["hostname"], capture_output=True, text=True).stdout.strip()
    [slurm] = blocks("bash")
    assert member_where(slurm, monkeypatch, SLURM_PROCID="0") == Member("chief", f"{host}:8000")
    assert member_where(slurm, monkeypatch, SLURM_PROCID="3") == Member("worker3", f"{host}:8000")
    [text] = [block for block in blocks("yaml") if "apiVersion" in block]
    _, job = yaml.safe_load_all(text)
    [container] = job["spec"]["template"]["spec"]["containers"]
    [script] = container["args"]
    assert member_where(script, monkeypatch, JOB_COMPLETION_INDEX="0") == Member("chief", "0.0.0.0:8000")
    assert member_where(script, monkeypatch, JOB_COMPLETION_INDEX="4") == Member("worker4", "tune-0.tune:8000")


def test_as_many_workers_as_gpus(plan_of, begin, monkeypatch):
    from kerascnn.errors import InputError

    made = plan_of({"batch_size": [8]})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    with pytest.raises(InputError, match="2 workers cannot share 1 GPU"):
        local_workers.LocalTuners(begin(made), made, 2)


@pytest.mark.slow
def test_code(photographs, fake_program, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(photographs)
    search, own = blocks("python")
    exec(search.replace("run = training.train", "# run = training.train"), {})
    monkeypatch.setattr(registry, "create", tiny.network)
    exec(own.replace("max_epochs=9", "max_epochs=2").replace("image_size=72", 'image_size=16, precision="float32"'), {})
