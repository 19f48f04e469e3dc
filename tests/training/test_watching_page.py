"""The commands and the code of docs/watching.md, run as printed."""

import json
import re
import shlex
from pathlib import Path

from kerascnn.applications import registry

PAGE = (Path(__file__).parents[2] / "docs" / "watching.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_commands(command, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "create", tiny.network)
    for line in [line for block in blocks("sh") for line in block.splitlines()]:
        program, *arguments = shlex.split(line)
        assert program == "kerascnn"
        outcome = command(*arguments, "--image-size", "16", "--precision", "float32")
        # A network that has hardly learnt is near many ties.
        assert outcome.status in (0, 1), outcome.err
    profiled, lines = sorted(Path("runs").iterdir())
    assert len(list(profiled.glob("tensorboard/plugins/profile/*/*.xplane.pb"))) == 1
    *epochs, report = [json.loads(line) for line in outcome.out.splitlines()]
    assert [(line["event"], line["epoch"], line["epochs"]) for line in epochs] == [("epoch", 1, 2), ("epoch", 2, 2)]
    assert (report["event"], Path(report["run"]).name) == ("report", lines.name)
    for shown, written in zip([*epochs, report], blocks("json")[0].splitlines(), strict=True):
        assert json.loads(written).keys() <= shown.keys()


def test_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for code in blocks("python"):
        exec(code, {})
    assert list(Path("logs/steps").iterdir())
    assert list(Path("logs").glob("plugins/profile/*/*.xplane.pb"))
