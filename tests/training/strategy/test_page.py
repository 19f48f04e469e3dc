"""The commands, the code and the cluster examples of docs/distributed.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kerascnn.training.strategy import cluster_of

PAGE = (Path(__file__).parents[3] / "docs" / "distributed.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_code_runs_as_printed(tmp_path):
    [program] = blocks("python")
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=280)
    assert len(list((tmp_path / "runs").iterdir())) == 1


def cluster_where(shell, monkeypatch, **variables):
    """The cluster of a script that ends in `kerascnn train`."""
    script = re.sub(r"(exec )?kerascnn train.*", "printenv TF_CONFIG", shell, flags=re.DOTALL)
    said = subprocess.run(["sh", "-c", script], env={**os.environ, **variables}, capture_output=True, text=True)
    monkeypatch.setenv("TF_CONFIG", said.stdout)
    return cluster_of()


def test_the_command_for_several_machines(monkeypatch):
    found = cluster_where(blocks("sh")[0], monkeypatch)
    assert (found.addresses, found.worker) == (("a.example:2222", "b.example:2222"), 0)


@pytest.mark.parametrize("index", [0, 1])
def test_the_kubernetes_job(index, monkeypatch):
    service, job = yaml.safe_load_all(blocks("yaml")[0])
    pods = job["spec"]["template"]["spec"]
    [shell] = pods["containers"][0]["args"]
    found = cluster_where(shell, monkeypatch, JOB_COMPLETION_INDEX=str(index))
    name, service = job["metadata"]["name"], service["metadata"]["name"]
    assert pods["subdomain"] == service
    assert found.worker == index
    assert found.addresses == tuple(f"{name}-{number}.{service}:2222" for number in range(job["spec"]["completions"]))
