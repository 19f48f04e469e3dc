"""A training on data of strangers from a URL with a token: its files show names literally, and have no token."""

import contextlib
import csv
import json

import pytest
from markdown_it import MarkdownIt

from kerascnn import data
from kerascnn.files.secret_urls import secrets_file
from support.archives import zipped
from support.images import landscape
from support.tiny_training import tiny_networks

pytestmark = pytest.mark.slow

# As folders are named; where an archive has the escape character, its folder has an underscore.
CLASSES = ["<b>dog[red]\x1b[31m", "=cat|[x](http:x)"]


@pytest.fixture
def archive(tmp_path):
    files = {}
    for place, name in enumerate(CLASSES):
        for number in range(6):
            landscape(100 * place + number, 24).save(tmp_path / "drawn.png")
            files[f"{name}/{number}.png"] = (tmp_path / "drawn.png").read_bytes()
    return zipped([*files.items()])


def test_train_evaluate_and_export(archive, file_server, tmp_path, command):
    file_server.files["pets.zip?token=SECRET"] = archive
    url = f"{file_server.url('pets.zip')}?token=SECRET"
    with contextlib.chdir(tmp_path), tiny_networks():
        sizes = ["--model", "googlenet", "--epochs", 1, "--batch-size", 4, "--image-size", 16]
        trained = command("train", "--data", url, *sizes)
        assert trained.status == 0, trained.err
        [run] = (tmp_path / "runs").glob("googlenet-*")
        scored = command("evaluate", run, "--report", tmp_path / "report", "--json")
        assert scored.status == 0, scored.err
    assert "\x1b" not in trained.out + trained.err + scored.out and "SECRET" not in trained.out + trained.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path for path in files if b"SECRET" in path.read_bytes()} <= {secrets_file()}
    [card] = (path for path in files if path.name == "model_card.md" and not path.parent.is_symlink())
    page = MarkdownIt("commonmark").enable("table").render(card.read_text())
    assert "href=" not in page and "<b>" not in page and "&lt;b&gt;dog[red]_[31m, =cat|[x](http:x)." in page
    labels = (card.parent / "labels.txt").read_text().splitlines()
    assert labels == ["<b>dog[red]_[31m", "=cat|[x](http:x)"]
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["data"].startswith(url.partition("?")[0])
    with open(tmp_path / "report" / "predictions.csv", newline="") as table:
        assert {row["label"] for row in csv.DictReader(table)} == {"<b>dog[red]_[31m", "'=cat|[x](http:x)"}
    assert "<b>dog" not in (tmp_path / "report" / "report.html").read_text()
    # The run loads its data again by the name in its recipe.
    assert data.load(url).source in (run / "recipe.yaml").read_text()
