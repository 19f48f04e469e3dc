"""The commands, the code and the cluster examples of docs/distributed.md."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from kerascnn.training.strategy import find_cluster, local_workers
from support.pages import Page, arguments_of, run_line

PAGE = Page("docs/distributed.md")


@pytest.mark.slow
def test_code_runs_as_printed(forks, tmp_path):
    """In its own process, because TensorFlow's devices can be chosen only once."""
    code = PAGE.blocks("python")[0]
    assert "epochs=1" in code
    (tmp_path / "page.py").write_text(code)
    started = forks.start("support.tiny_command:run_file", tmp_path / "page.py", output=tmp_path / "output.txt")
    assert started.wait() == 0, started.said()
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_the_command_for_one_machine_starts_workers(command, monkeypatch):
    """Of a program that prints what it is given; the next test has them train."""

    class PrintingWorkers(local_workers.LocalWorkers):
        def __init__(self, command, count):
            assert command[:3] == [sys.executable, "-m", "kerascnn"]
            program = "import os, sys; print(os.environ['TF_CONFIG'], *sys.argv[1:])"
            super().__init__([sys.executable, "-c", program, *command[3:]], count)

    monkeypatch.setattr(local_workers, "LocalWorkers", PrintingWorkers)
    [line] = PAGE.blocks("sh")[0].splitlines()
    outcome = run_line(command, line)
    for worker, printed in enumerate((outcome.out, outcome.err)):
        assert f'"index": {worker}' in printed and " ".join(arguments_of(line)) in printed


@pytest.mark.slow
def test_workers_of_the_command_train_together(forks, tmp_path):
    [line] = PAGE.blocks("sh")[0].splitlines()
    shorter = ("--image-size", "16", "--precision", "float32", "--batch-size", "80")
    workers = forks.start_workers(
        "support.tiny_command:run", *arguments_of(line), *shorter, "--out", tmp_path / "out",
        ports=local_workers.free_ports(2), folder=tmp_path,
    )  # fmt: skip
    assert [worker.wait() for worker in workers] == [0, 0], workers[0].said()
    assert "exported to" in workers[0].said() and "exported to" not in workers[1].said()
    assert len(list((tmp_path / "out" / "runs").glob("resnet20-digits-*"))) == 1


def cluster_where(shell, monkeypatch, **variables):
    """The cluster of a script that ends in `kerascnn train`."""
    script = re.sub(r"(exec )?kerascnn train.*", "printenv TF_CONFIG", shell, flags=re.DOTALL)
    printed = subprocess.run(["sh", "-c", script], env={**os.environ, **variables}, capture_output=True, text=True)
    monkeypatch.setenv("TF_CONFIG", printed.stdout)
    return find_cluster()


def test_the_command_for_several_machines(monkeypatch):
    found = cluster_where(PAGE.blocks("sh")[1], monkeypatch)
    assert (found.addresses, found.worker) == (("a.example:2222", "b.example:2222"), 0)


@pytest.mark.parametrize("index", [0, 1])
def test_the_kubernetes_job(index, monkeypatch):
    service, job = yaml.safe_load_all(PAGE.blocks("yaml")[0])
    pods = job["spec"]["template"]["spec"]
    [shell] = pods["containers"][0]["args"]
    found = cluster_where(shell, monkeypatch, JOB_COMPLETION_INDEX=str(index))
    name, service = job["metadata"]["name"], service["metadata"]["name"]
    assert pods["subdomain"] == service
    assert found.worker == index
    assert found.addresses == tuple(f"{name}-{number}.{service}:2222" for number in range(job["spec"]["completions"]))
