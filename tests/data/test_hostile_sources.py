"""Folders that others made: what tables, manifests, links and indexes in them say never leads out of them."""

import contextlib
import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from kerascnn import InputError, data
from kerascnn.applications.weights.sources import source_of
from kerascnn.data.ingestion import manifest
from kerascnn.data.ingestion.file_index import FileIndex
from kerascnn.data.ingestion.manifest import SourceRecord
from kerascnn.evaluation.image_inputs import images_of
from kerascnn.shown_text import shown_url
from support.archives import zipped
from support.images import landscapes
from support.messages import mentioning, names


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return landscapes(tmp_path_factory.mktemp("drawn") / "pets", 3)


@pytest.fixture
def pets(drawn, tmp_path):
    """A folder of two classes, beside a file of the user's that is no image."""
    (tmp_path / "diary.txt").write_text("mine")
    (tmp_path / "diary.jpg").write_text("mine")
    return shutil.copytree(drawn, tmp_path / "pets")


def rows_of(folder, *more):
    rows = [f"{path.relative_to(folder)},{path.parent.name}" for path in folder.rglob("*.png")]
    return "\n".join(["file,label", *rows, *more])


def outside(tmp_path):
    return ["../diary.txt", "../diary.jpg", "cat/../../diary.jpg", "..\\diary.jpg", str(tmp_path / "diary.jpg"),
            f"file://{tmp_path}/diary.jpg", "/proc/self/environ", "~/diary.jpg", "labels.csv", "notes.md"]  # fmt: skip


def published(folder, kind, path):
    """Lists of authors and programs that name a path besides the images."""
    files = [str(file.relative_to(folder)) for file in sorted(folder.rglob("*.png"))]
    if kind == "fiftyone":
        (folder / "data").mkdir()
        for name in ("cat", "dog"):
            (folder / name).rename(folder / "data" / name)
        labels = {file: file.split("/")[0] for file in files} | {f"../{path}": "cat"}
        (folder / "labels.json").write_text(json.dumps({"classes": ["cat", "dog"], "labels": labels}))
    elif kind == "label studio":
        tasks = [{"image": file, "choice": file.split("/")[0], "id": 1, "annotator": 1} for file in [*files, path]]
        (folder / "tasks.json").write_text(json.dumps(tasks))
    else:
        (folder / "images").mkdir()
        for name in ("cat", "dog"):
            (folder / name).rename(folder / "images" / name)
        named = list(enumerate([*files, path], 1))
        (folder / "images.txt").write_text("\n".join(f"{number} {file}" for number, file in named))
        classes = (f"{number} {1 + (file[:3] == 'dog')}" for number, file in named)
        (folder / "image_class_labels.txt").write_text("\n".join(classes))
        (folder / "classes.txt").write_text("1 cat\n2 dog")


@pytest.mark.parametrize("number", range(10))
def test_a_table_moves_nothing_of_the_users(pets, tmp_path, number):
    path = outside(tmp_path)[number]
    (pets / "notes.md").write_text("mine too")
    (pets / "labels.csv").write_text(rows_of(pets, f"{path},cat"))
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    found = data.ingest(pets, on_bad="move")
    assert found.moved == 0 and len(found.with_status("read")) == 6
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("kind", ["fiftyone", "label studio", "birds"])
@pytest.mark.parametrize("path", ["../diary.jpg", "{}/diary.jpg"])
def test_lists_of_published_data_move_nothing_of_the_users(pets, tmp_path, kind, path):
    published(pets, kind, path.format(tmp_path))
    found = data.ingest(pets, on_bad="move")
    assert found.moved == 0 and len(found.with_status("read")) == 6
    assert (tmp_path / "diary.jpg").read_text() == "mine"


def test_an_archive_moves_nothing_of_the_users(pets, tmp_path):
    files = {f"pets/{path.relative_to(pets)}": path.read_bytes() for path in pets.rglob("*.png")}
    table = rows_of(pets, f"{tmp_path}/diary.jpg,cat", "../../diary.jpg,dog").encode()
    (tmp_path / "pets.zip").write_bytes(zipped([*files.items(), ("pets/labels.csv", table)]))
    found = data.ingest(tmp_path / "pets.zip", to=tmp_path / "to", on_bad="move")
    assert found.moved == 0 and (tmp_path / "diary.jpg").read_text() == "mine"


def test_a_table_in_a_file_names_files_of_its_folder_only(pets, tmp_path):
    private = landscapes(tmp_path / "private", 1)
    paths = [path.rename(path.with_name("9.png")) for path in sorted(private.rglob("*.png"))]
    (pets / "labels.csv").write_text(rows_of(pets, *(f"{path},{path.parent.name}" for path in paths)))
    for given in ({"table": pets / "labels.csv"}, {"table": _columns_of(pets / "labels.csv"), "folder": pets}):
        loaded = data.from_table(**given, file="file", label="label")
        assert len(loaded.training) + len(loaded.validation) == 6
    with contextlib.chdir(tmp_path):
        loaded = data.from_table(_columns_of(pets / "labels.csv", pets), file="file", label="label")
    assert len(loaded.training) + len(loaded.validation) == 8


def _columns_of(table, folder=Path()):
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    return {"file": [str(folder / row["file"]) for row in rows], "label": [row["label"] for row in rows]}


def test_only_files_that_were_found_are_named_by_a_table():
    index = FileIndex(["cat/1.png"])
    for text in ("../1.png", "/cat/../../1.png", "cat/../../../etc/passwd", "..", "/", "\0", "cat/1.png/.."):
        assert index.find(text).path in (None, "cat/1.png")


def test_links_out_of_the_folder_are_named_and_nothing_behind_them_is_moved(pets, tmp_path):
    elsewhere = shutil.copytree(pets / "cat", tmp_path / "elsewhere")
    (elsewhere / "broken.jpg").write_text("mine")
    (pets / "cat" / "more").symlink_to(elsewhere)
    (pets / "dog" / "link.jpg").symlink_to(tmp_path / "diary.jpg")
    (pets / "dog" / "again.png").symlink_to("0.png")
    found = data.ingest(pets, on_bad="move")
    names(found.layout, "2 links lead out of the folder", "cat/more", elsewhere)
    assert (elsewhere / "broken.jpg").read_text() == (tmp_path / "diary.jpg").read_text() == "mine"
    # Of the other one, the link itself.
    assert found.moved == 1 and not (pets / "dog" / "link.jpg").is_symlink()


def test_links_to_what_contains_the_folder_are_not_followed(pets, tmp_path):
    (pets / "cat" / "disk").symlink_to("/")
    (pets / "dog" / "above").symlink_to(tmp_path)
    (pets / "dog" / "itself").symlink_to(pets)
    found = data.ingest(pets)
    assert len(found.with_status("read")) == 6
    assert {entry.path for entry in found.with_status("ignored")} == {"cat/disk", "dog/above", "dog/itself"}


@pytest.mark.parametrize("source", ["file:///etc/passwd", "FILE://x", "ftp://a/b.zip", "s3://me:SECRET@b/c?SECRET"])
def test_urls_of_other_kinds_are_refused_wherever_one_is_taken(source):
    takers = (data.load, data.ingest, lambda url: list(images_of(url)), lambda url: source_of("ResNet18", url))
    for take in takers:
        with mentioning(InputError, shown_url(source), "http") as refusal:
            take(source)
        assert "SECRET" not in str(refusal.value)


@pytest.mark.parametrize("source", ["", " ", "\n"])
def test_an_empty_source_is_not_the_folder_that_one_is_in(source):
    with mentioning(InputError, "empty"):
        data.load(source)


@pytest.mark.parametrize("arguments", [
    ["train", "--data", ""], ["train", "--resume", " "], ["train", "--teacher", ""], ["train", "--weights", ""],
    ["evaluate", ""], ["predict", "", "cat.jpg"], ["export", "mine.keras", "--calibrate", ""], ["ingest", ""],
])  # fmt: skip
def test_an_option_that_a_shell_left_empty_is_no_folder(command, arguments):
    outcome = command(*arguments)
    assert outcome.status == 2 and "empty" in outcome.err and "Traceback" not in outcome.err


def test_a_folder_whose_name_is_blank_is_a_class_with_a_name(pets):
    (pets / "cat").rename(pets / "\u00a0 ")
    assert data.load(pets).class_names == ("__", "dog")


def test_folders_whose_names_are_no_text_or_differ_in_blanks(pets):
    (pets / "cat").rename(pets / "caf\udce9")
    (pets / "dog").rename(pets / "caf\udce8")
    (pets / " caf\udce8").mkdir()
    (pets / "caf\udce8" / "0.png").rename(pets / " caf\udce8" / "0.png")
    loaded = data.load(pets)
    assert loaded.class_names == (r"caf\xe8", r"caf\xe9")
    names(loaded.layout, "but for blanks", r"'caf\xe8'")


def test_a_quarantine_that_came_with_the_folder_leads_nowhere(pets, tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir()
    (pets / "cat" / "authorized_keys.png").write_text("theirs")
    for link in (tmp_path / "pets-quarantine", tmp_path / "to" / "kerascnn-quarantine" / "cat"):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(keys)
        to = None if link.parent == tmp_path else tmp_path / "to"
        with mentioning(InputError, "quarantine", "links"):
            data.ingest(pets, to=to, on_bad="move")
    assert list(keys.iterdir()) == []


def test_images_of_to_that_are_a_link_are_not_taken(pets, tmp_path, drawn):
    files = {f"pets/{path.relative_to(pets)}": path.read_bytes() for path in pets.rglob("*.png")}
    (tmp_path / "pets.zip").write_bytes(zipped([*files.items()]))
    first = data.ingest(tmp_path / "pets.zip", to=tmp_path / "to")
    assert first.folder == tmp_path / "to" / "images"
    shutil.copytree(tmp_path / "to", tmp_path / "theirs")
    shutil.rmtree(tmp_path / "theirs" / "images")
    (tmp_path / "theirs" / "images").symlink_to(drawn)
    with mentioning(InputError, "images of an unknown source"):
        data.ingest(tmp_path / "pets.zip", to=tmp_path / "theirs")


def record_of(source, **values):
    return {"source": str(source), "name": "pets", "folder": str(source), "identity": "", **values}


@pytest.mark.parametrize("claim", ["{}/private", "../private", "cat/../../private", "/"])
def test_a_manifest_that_came_with_a_folder_leads_nowhere(pets, drawn, tmp_path, claim):
    private = shutil.copytree(drawn, tmp_path / "private")
    head = record_of(private, folder=claim.format(tmp_path), checked_with=manifest.checked_with())
    (pets / manifest.NAME).write_text(json.dumps(head) + "\n")
    found = data.ingest(pets, on_bad="move")
    assert found.folder == pets and found.data.source == str(pets)
    assert all(path.startswith(str(pets)) for path in found.data.training.paths)
    for path in (pets / "cat", pets / "dog"):
        shutil.rmtree(path)
    with mentioning(InputError, pets / manifest.NAME, "not written here"):
        data.ingest(pets)


def test_what_a_manifest_that_came_with_a_folder_says_of_files_is_not_believed(pets, tmp_path):
    bad = pets / "cat" / "bad.png"
    bad.write_bytes(b"no image")
    status = bad.stat()
    lie = {"path": "cat/bad.png", "size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": "0" * 64,
           "format": "PNG", "width": 9, "height": 9, "decoder": "pillow", "status": "read"}  # fmt: skip
    head = record_of(pets, checked_with=manifest.checked_with())
    part = {"name": "pets", "part": [1, 1], "checked_with": manifest.checked_with()}
    heads = {manifest.NAME: head, f".{manifest.NAME}.journal": head, "kerascnn-manifest-1-of-1.jsonl": part}
    for name, first in heads.items():
        (pets / name).write_text(f"{json.dumps(first)}\n{json.dumps(lie)}\n")
    for to in (pets, None):
        found = data.ingest(pets, to=to)
        assert [file.path for file in found.with_status("unreadable")] == ["cat/bad.png"]
    with mentioning(InputError, pets, "among the images", "--to"):
        data.ingest_part(pets, "1/2", to=pets)


def test_a_manifest_of_another_source_is_not_believed(pets, drawn, tmp_path):
    data.ingest(pets, to=tmp_path / "to")
    other = shutil.copytree(drawn, tmp_path / "other")
    record = manifest.read_source_record(tmp_path / "to" / manifest.NAME)
    assert record == SourceRecord(str(pets), "pets", str(pets))
    found = data.ingest(other, to=tmp_path / "to")
    assert found.effort.checked == 6 and found.folder == other


def test_the_folder_of_to_is_known_where_it_was_written(pets, tmp_path, monkeypatch):
    first = data.ingest(pets, to=tmp_path / "to")
    again = data.ingest(tmp_path / "to")
    assert (again.folder, again.effort.checked, again.files) == (pets, 0, first.files)
    shutil.copytree(tmp_path / "to", tmp_path / "copy")
    with mentioning(InputError, tmp_path / "copy", "not written here", pets):
        data.ingest(tmp_path / "copy")
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "of another user"))
    with mentioning(InputError, tmp_path / "to", "not written here", pets):
        data.ingest(tmp_path / "to")


def test_a_cache_among_the_images_is_the_users(pets, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(pets / ".cache"))
    assert [data.ingest(pets).effort.checked for _ in range(2)] == [6, 0]


def test_records_name_no_other_files_and_no_other_folders(pets, tmp_path):
    data.write_records(data.load(pets), tmp_path / "records")
    index = next((tmp_path / "records").glob("*.json"))
    values = json.loads(index.read_text())
    index.write_text(json.dumps({**values, "name": "../../up $(x)"}))
    assert os.sep not in (name := data.load(tmp_path / "records").name) and "$" not in name
    values["splits"]["training"][0]["file"] = "../diary.txt"
    index.write_text(json.dumps(values))
    with mentioning(InputError, index, "damaged"):
        data.load(tmp_path / "records")
