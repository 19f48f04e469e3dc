"""The tables and the code of docs/weights.md."""

import re

import numpy as np

from kerascnn import applications
from kerascnn.applications.weights.public import WEIGHTS
from support.pages import Page

PAGE = Page("docs/weights.md")


def test_the_table_is_what_there_is():
    lines = re.findall(r"^\| .*https?://.*$", PAGE.text, re.MULTILINE)
    rows = [tuple(cell.strip() for cell in line[1:-1].split("|")) for line in lines]
    assert rows == [
        (
            file.network,
            file.name,
            f"[{file.file}]({file.url})",
            "yes" if file.include_top else "no",
            f"{file.top1:g}",
            f"{file.top5:g}",
            str(file.input_size),
            f"{100 * file.crop_fraction:.4g} %",
            file.resampling,
            file.preprocessing,
            str(file.checksum or "none"),
            ", ".join(f"`{name}={value!r}`" for name, value in file.arguments.items()),
        )
        for file in WEIGHTS
    ]


def test_every_license_is_listed():
    [table] = re.findall(r"\| license \| weights \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE.text)
    assert {row.split(" | ")[0].strip("| ") for row in table.splitlines()} == {file.license for file in WEIGHTS}


def test_scales():
    # In the order in which the network takes the channels.
    [table] = re.findall(r"\| pixels \| channels \| scale \|\n.*\n((?:\|.*\n)+)", PAGE.text)
    pixel = np.array([[[10.0, 100.0, 200.0]]])
    by_hand = {
        "caffe": pixel[..., ::-1] - (103.939, 116.779, 123.68),
        "torch": (pixel / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225),
        "symmetric": pixel / 127.5 - 1,
    }
    assert [row.split(" | ")[0].strip("| ") for row in table.splitlines()] == list(by_hand)
    for file in WEIGHTS:
        scaled = applications.preprocess_input(file.network, pixel, weights=file.name)
        np.testing.assert_allclose(scaled, by_hand[file.preprocessing], rtol=1e-5)


def test_the_code_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    PAGE.run({"head": np.zeros((10, 512), "float32")}, block=1)
    assert capsys.readouterr().out == "{'fc.weight': (10, 512)}\n"
