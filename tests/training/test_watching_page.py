"""The commands and the code of docs/watching.md, run as printed."""

import json
from pathlib import Path

import pytest

from support.pages import Page, run_line
from support.tiny_training import tiny_networks

PAGE = Page("docs/watching.md")


@pytest.mark.slow
def test_commands(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with tiny_networks():
        for line in PAGE.lines():
            # 22 steps where the page's first training has 23 on all digits.
            fewer = [] if "--limit" in line else ["--limit", 400, "--batch-size", 14]
            # A network that has hardly learned is near many ties.
            outcome = run_line(
                command, line, "--image-size", 16, "--precision", "float32", *fewer, statuses=(0, 1)
            )  # fmt: skip
    profiled, lines = sorted(Path("runs").iterdir())
    assert len(list(profiled.glob("plugins/profile/*/*.xplane.pb"))) == 1
    *epochs, report = [json.loads(line) for line in outcome.out.splitlines()]
    assert [(line["event"], line["epoch"], line["epochs"]) for line in epochs] == [("epoch", 1, 2), ("epoch", 2, 2)]
    assert (report["event"], Path(report["run"]).name) == ("report", lines.name)
    for shown, written in zip([*epochs, report], PAGE.blocks("json")[0].splitlines(), strict=True):
        assert json.loads(written).keys() <= shown.keys()


@pytest.mark.slow
def test_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    PAGE.run()
    assert list(Path("logs/train").iterdir())
    assert list(Path("logs").glob("plugins/profile/*/*.xplane.pb"))
