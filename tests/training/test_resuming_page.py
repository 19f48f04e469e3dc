"""The commands and the code of docs/resuming.md, run as printed."""

import re
import shlex
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "resuming.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.usefixtures("tiny_network")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_commands(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in [line for block in blocks("sh") for line in block.splitlines()]:
        program, *arguments = shlex.split(line)
        assert program == "kerascnn"
        arguments = [str(next(Path().glob(word))) if "*" in word else word for word in arguments]
        # A network that has hardly learnt is near many ties.
        outcome = command(*arguments, "--image-size", "16", "--json")
        assert outcome.status in (0, 1), outcome.err
        assert "Traceback" not in outcome.err
    [run] = Path("runs").iterdir()
    assert len(list((run / "checkpoints").glob("best-*"))) == 2
    best = next((run / "checkpoints").glob("best-*"))
    assert command("evaluate", best, "--json").status == 0


def test_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [code] = blocks("python")
    names = {}
    exec(code, names)
    assert [file.name for file in sorted((names["run"].folder.checkpoints).glob("epoch-*"))] == [
        "epoch-0001.npz",
        "epoch-0002.npz",
    ]
