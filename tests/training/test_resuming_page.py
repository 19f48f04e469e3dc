"""The commands and the code of docs/resuming.md, run as printed."""

from pathlib import Path

import pytest

from support.pages import Page, run_line
from support.tiny_training import tiny_networks

PAGE = Page("docs/resuming.md")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def tiny():
    with tiny_networks():
        yield


def test_commands(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in PAGE.lines():
        smaller = [] if "--resume" in line else ["--image-size", 16]
        # A network that has hardly learned is near many ties.
        run_line(command, line, *smaller, "--json", statuses=(0, 1))
    [run] = Path("runs").iterdir()
    assert len(list((run / "checkpoints").glob("best-*"))) == 2
    best = next((run / "checkpoints").glob("best-*"))
    assert command("evaluate", best, "--json").status == 0


def test_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = PAGE.run()
    assert [file.name for file in sorted((names["run"].folder.checkpoints).glob("epoch-*"))] == [
        "epoch-0001.npz",
        "epoch-0002.npz",
    ]
