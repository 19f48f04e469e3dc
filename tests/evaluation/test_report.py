"""Report folders: a page that needs no other file, JSON and CSV."""

import csv
import json
import os
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from kerascnn import InputError, data
from kerascnn.data import LabeledImages
from kerascnn.evaluation import KerasPredictor, Protocol, Scores
from kerascnn.evaluation.report import render_page, write_report
from kerascnn.evaluation.run_report import report_run
from kerascnn.evaluation.study import Measurement, Study, study
from kerascnn.training import RunFolder
from support.messages import mentioning

VOID = {"meta", "img", "br", "source"}


class Reader(HTMLParser):
    """Collects a page's text, images and links; checks that every element is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.words, self.sources, self.tags = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "srcset", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.words.append(text)


def read(page):
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    return reader


def report_of(loaded, scores, folder):
    """The page of one model's scores."""
    row = Measurement((folder / "m.keras",), ("Keras",), "1 crop", 1, scores, 0.0)
    images = LabeledImages.of(loaded, "validation")
    return read(write_report(Study(images, (row,)), folder / "report").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def report(tiny_digits_run, few_digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "deep" / "folder"
    run = tiny_digits_run.folder.path
    measured = study([run, run / "model.keras"], few_digits, [Protocol("1 crop"), Protocol("10 crops")])
    return measured, write_report(measured, folder), folder


def test_the_page_is_complete_and_needs_no_other_file(report):
    measured, page, folder = report
    assert {file.name for file in folder.iterdir()} == {"report.html", "metrics.json", "predictions.csv"}
    reader = read(page.read_text(encoding="utf-8"))
    assert all(source.startswith("data:image/") for source in reader.sources)
    wrong = len(measured.result.scores.labels) - measured.result.scores.correct()
    assert wrong > 0
    # Curves of one run, for wide and for narrow screens, confusion matrix, reliability, most wrong.
    assert len(reader.sources) == 4 + min(wrong, 24)
    words = " ".join(reader.words)
    for expected in ("Accuracy", "Models and crops", "Training of", "Most confused", "below 64", "Calibration"):
        assert expected in words
    assert f"{measured.result.scores.accuracy():.2%}" in words
    assert not {"script", "link", "iframe"} & set(reader.tags)


def test_json_and_csv_agree_with_the_scores(report):
    measured, _, folder = report
    metrics = json.loads((folder / "metrics.json").read_text())
    scores = measured.result.scores
    assert metrics["top1_accuracy"] == scores.correct() / len(scores.labels)
    assert np.sum(metrics["confusion"]) == metrics["images"] == len(scores.labels)
    assert metrics["crops"] == "10 crops" and metrics["model"] == "ensemble of 2"
    assert [row["views"] for row in metrics["models_and_crops"]] == [1, 10, 2, 20]
    assert sum(one["images"] for one in metrics["calibration"]) == metrics["images"]
    with (folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * len(scores.labels)
    own = [row for row in rows if (row["model"], row["crops"]) == ("ensemble of 2", "10 crops")]
    assert sum(int(row["correct"]) for row in own) == scores.correct()
    assert sum(int(row["rank_of_label"]) <= 5 for row in own) == scores.correct(5)
    assert {(row["height"], row["width"]) for row in own} == {("32", "32")}


def test_image_names_are_class_and_file(tmp_path, photographs):
    loaded = data.load(photographs)
    count = len(loaded.validation)
    probabilities = np.tile(np.array([[0.9, 0.1]], "float32"), (count, 1))
    scores = Scores(loaded.class_names, loaded.validation.labels, probabilities, np.full((count, 2), 90))
    reader = report_of(loaded, scores, tmp_path)
    assert reader.tags.count("figure") == (scores.labels == 1).sum() > 0
    with (tmp_path / "report" / "predictions.csv").open(newline="") as file:
        names = [row["image"] for row in csv.DictReader(file)]
    assert {name.split("/")[0] for name in names} == {"lying", "standing"}
    assert len(set(names)) == count


def test_names_of_files_that_are_no_utf8(photographs, tmp_path):
    for path in photographs.rglob("*.jpg"):
        folder = tmp_path / "photographs" / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, os.fsencode(folder) + b"/\xe9" + os.fsencode(path.name))
    loaded = data.load(tmp_path / "photographs")
    count = len(loaded.validation)
    wrong = np.eye(2, dtype="float32")[1 - loaded.validation.labels]
    reader = report_of(
        loaded, Scores(loaded.class_names, loaded.validation.labels, wrong, np.full((count, 2), 90)), tmp_path
    )
    assert "\\udce9" in " ".join(reader.words)
    assert (tmp_path / "report" / "predictions.csv").read_bytes().count(b"\xe9") == count


def test_a_model_that_is_always_correct(few_digits, tiny_digits_run, tmp_path):
    labels = few_digits.validation.labels
    scores = Scores(few_digits.class_names, labels, np.eye(10, dtype="float32")[labels], np.full((len(labels), 2), 32))
    words = " ".join(report_of(few_digits, scores, tmp_path).words)
    assert "Most wrong" in words and "Most confused" not in words
    folder = RunFolder(shutil.copytree(tiny_digits_run.folder.path, tmp_path / "run"))
    shutil.rmtree(folder.path / "validation")
    report_run(folder, scores, "a title", few_digits.validation, KerasPredictor(tiny_digits_run.model).metadata)
    [events] = (folder.path / "validation").iterdir()
    assert b"confusion matrix" in events.read_bytes() and b"most wrong predictions" not in events.read_bytes()


def test_all_values_are_escaped():
    section = {
        "heading": "<b>heading</b>", "paragraph": "<b>paragraph</b>",
        "head": ("<b>a</b>",), "rows": [("<script>alert(1)</script>",)], "text_columns": 1,
        "image": "data:,", "alt": '"><script>', "gallery": [("data:,", '"><script>', "& so on")],
    }  # fmt: skip
    page = render_page(
        title="<b>title</b>", introduction="<b>text</b>", sections=[section], footer='</p><img src="x.png">'
    )
    reader = read(page)
    assert "script" not in reader.tags and "b" not in reader.tags
    assert reader.sources == ["data:,", "data:,"]
    assert "<script>alert(1)</script>" in reader.words


def test_a_folder_that_is_not_writable(report, tmp_path):
    (tmp_path / "file").write_text("")
    with mentioning(InputError, "report", tmp_path / "file" / "report"):
        write_report(report[0], tmp_path / "file" / "report")
