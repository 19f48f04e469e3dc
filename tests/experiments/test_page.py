"""docs/experiments.md: its commands, and its tables compared with the catalog."""

import re

from kerascnn.cli import _parser
from kerascnn.experiments import EXPERIMENTS
from support.pages import Page, arguments_of

PAGE = Page("docs/experiments.md")


def test_commands_are_valid():
    # Other tests run one of them; most take minutes.
    lines = PAGE.lines()
    assert len(lines) >= 3
    for line in lines:
        assert _parser().parse_args(arguments_of(line)).subcommand == "experiment"


def test_every_experiment_has_a_section():
    sections = dict(re.findall(r"^### ([-\w]+): .*?\n(.*?)(?=^### |\Z)", PAGE.text, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(EXPERIMENTS)
    for name, section in sections.items():
        experiment = EXPERIMENTS[name]
        if experiment.small is None:
            assert experiment.small_cannot in " ".join(section.split())
        if experiment.small is None or experiment.measure in ("crops", "transfer"):
            continue
        rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", section, re.MULTILINE))
        for arm in experiment.arms:
            assert arm.name in rows
            assert experiment.measure == "folding" or rows[arm.name] == arm.published


def test_images_are_there():
    images = re.findall(r"!\[[^]]*\]\(([^)]+)\)", PAGE.text)
    assert images and all((PAGE.path.parent / image).is_file() for image in images)
