"""docs/experiments.md: its commands, and its tables beside the catalogue."""

import re
import shlex
from pathlib import Path

from kerascnn.cli import _parser
from kerascnn.experiments import EXPERIMENTS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "experiments.md").read_text(encoding="utf-8")


def test_commands_are_understood():
    # What they do is tested by those that run one; most of them take minutes.
    lines = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(lines) >= 3
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "kerascnn" and _parser().parse_args(arguments).verb == "experiment"


def test_every_experiment_is_told_of():
    sections = dict(re.findall(r"^### ([-\w]+): .*?\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(EXPERIMENTS)
    for name, section in sections.items():
        experiment = EXPERIMENTS[name]
        if "Not run." in section or experiment.measure == "crops":
            continue
        rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", section, re.MULTILINE))
        for arm in experiment.arms:
            assert arm.name in rows
            assert experiment.measure == "folding" or rows[arm.name] == arm.published


def test_pictures_are_there():
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", PAGE)
    assert pictures and all((DOCS / picture).is_file() for picture in pictures)
