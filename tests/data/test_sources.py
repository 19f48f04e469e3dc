"""Digits, folders and archives as data sets."""

import io
import os
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, data
from kerascnn.data.ingestion import ingest
from support.archives import tarred, zipped
from support.messages import mentioning, names


def names_of(examples):
    return {os.path.relpath(path, os.path.dirname(os.path.dirname(path))) for path in examples.paths}


def test_digits_are_always_the_same_and_stratified(digits):
    assert (len(digits.training), len(digits.validation)) == (1437, 360)
    assert digits.training.images.shape == (1437, 32, 32, 3)
    assert digits.training.images.dtype == np.uint8
    assert digits.training.images.max() == 255
    counts = np.bincount(digits.validation.labels)
    assert counts.min() >= 35 and counts.max() <= 37
    np.testing.assert_array_equal(digits.validation.images, data.load("digits").validation.images)
    assert not digits.allows_horizontal_flip


def test_folder(photographs):
    loaded = data.load(photographs)
    assert loaded.name == "stripes"
    assert loaded.class_names == ("lying", "standing")
    assert len(loaded.training) + len(loaded.validation) == 40
    assert np.bincount(loaded.training.labels).min() >= 10
    assert np.bincount(loaded.validation.labels).min() >= 1
    assert not names_of(loaded.training) & names_of(loaded.validation)
    reasons = {item.path: item.reason for item in loaded.skipped}
    assert set(reasons) == {"lying/empty.jpg", "lying/notes.txt", "standing/cut.jpg"}
    names(reasons["lying/empty.jpg"], "0 bytes")
    names(reasons["lying/notes.txt"], "not an image")
    names(reasons["standing/cut.jpg"], "truncated")


def test_the_split_depends_on_contents_and_keeps_copies_together(photographs, tmp_path):
    first = data.load(photographs)
    copy = tmp_path / "elsewhere"
    shutil.copytree(photographs, copy)
    for file in copy.rglob("*.jpg"):
        file.rename(file.with_name(f"renamed-{file.name}"))
        shutil.copy(file.with_name(f"renamed-{file.name}"), file.with_name(f"copy-{file.name}"))
    second = data.load(copy)
    expected = {
        f"{prefix}-{os.path.basename(path)}" for path in first.validation.paths for prefix in ("renamed", "copy")
    }
    assert {os.path.basename(path) for path in second.validation.paths} == expected


def pack(folder, target):
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, os.path.join("Images", folder.name, file.relative_to(folder)))
    else:
        with tarfile.open(target, "w" if target.suffix == ".tar" else "w:gz") as archive:
            archive.add(folder, f"Images/{folder.name}")


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_archives_are_searched_and_removed(photographs, tmp_path, suffix):
    target = tmp_path / f"my photos{suffix}"
    pack(photographs, target)
    loaded = data.load(target)
    assert loaded.name == "my-photos"
    assert names_of(loaded.validation) == names_of(data.load(photographs).validation)
    workspace = loaded.workspace.name
    assert os.path.isdir(workspace)
    del loaded
    assert not os.path.exists(workspace)


def test_train_and_test_folders_are_the_splits(photographs, tmp_path):
    shutil.copytree(photographs, tmp_path / "set" / "train")
    shutil.copytree(photographs, tmp_path / "set" / "Test")
    loaded = data.load(tmp_path / "set")
    assert len(loaded.training) == len(loaded.validation) == 40
    assert len(loaded.skipped) == 6


def test_limit_keeps_classes_balanced(photographs, digits):
    few = data.load("digits", limit=100)
    assert len(few.training) + len(few.validation) == 100
    assert np.bincount(few.training.labels).tolist() == [8] * 10
    assert len(data.load(photographs, limit=1000).training) == len(data.load(photographs).training)
    with mentioning(InputError, "--limit 19", "10 classes", "at least 20"):
        data.load("digits", limit=19)


def image():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


FOUR = [(name, image() + name.encode()) for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png")]


def test_archives_cannot_write_elsewhere(tmp_path):
    outside = tmp_path / "outside.png"
    evil = [(name, image() + name.encode()) for name in ("../outside.png", str(outside))]
    (tmp_path / "evil.zip").write_bytes(zipped([*FOUR, *evil]))
    data.load(tmp_path / "evil.zip")
    assert not outside.exists()
    (tmp_path / "evil.tar").write_bytes(tarred(evil[:1]))
    with mentioning(InputError, "evil.tar", "unpacked"):
        data.load(tmp_path / "evil.tar")
    assert not outside.exists()


def test_links_in_archives_are_skipped(tmp_path):
    link = tarfile.TarInfo("a/3.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    (tmp_path / "links.tar").write_bytes(tarred([*FOUR, (link, b"")]))
    loaded = data.load(tmp_path / "links.tar")
    assert len(loaded.training) + len(loaded.validation) == 4
    assert [item.path for item in loaded.skipped] == ["a/3.png"]


def folder_of(tmp_path, *files):
    for name, contents in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(contents)
    return tmp_path


def test_file_names_need_not_be_text(tmp_path):
    folder = folder_of(tmp_path, *[(f"{kind}/{n}.png", image() + bytes([n])) for kind in "ab" for n in range(3)])
    os.rename(folder / "a" / "0.png", os.path.join(os.fsencode(folder), b"a", b"\xff\xfe \n.png"))
    from kerascnn.data.pipeline.pipeline import evaluation_batches

    loaded = data.load(folder)
    for examples in (loaded.training, loaded.validation):
        batches = evaluation_batches(examples, classes=2, size=8, crop_fraction=1.0, batch_size=2)
        assert sum(len(images) for images, _ in batches) == len(examples)


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        ([], ("no images", "subfolder")),
        ([("loose.png", image())], ("classes", "1 files", "give")),
        ([("only/1.png", image()), ("only/2.png", image() + b"2")], ("one class", "'only'", "at least two")),
        ([("a/1.png", b"x"), ("b/1.png", b"y")], ("2 files", "image")),
        ([("a/1.png", image()), ("b/1.png", image())], ("no validation images",)),
    ],
)
def test_folders_that_are_no_data_sets(tmp_path, files, parts):
    with mentioning(InputError, tmp_path, *parts):
        data.load(folder_of(tmp_path, *files))


@pytest.mark.parametrize(
    ("name", "contents", "parts"),
    [
        ("broken.zip", b"PK\3\4 broken", ("unpacked",)),
        ("broken.tar.gz", b"\x1f\x8b broken", ("unpacked",)),
        ("list.csv", b"a,b", ("neither", "folder", ".zip", ".tar")),
    ],
)
def test_files_that_are_no_data_sets(tmp_path, name, contents, parts):
    (tmp_path / name).write_bytes(contents)
    with mentioning(InputError, tmp_path / name, *parts):
        data.load(tmp_path / name)


def test_sources_that_are_missing(tmp_path):
    # No user has this name.
    for source in (tmp_path / "missing", "~no user/photos"):
        with mentioning(InputError, "no data", source):
            data.load(source)


@pytest.mark.parametrize("path", ["x" * 5000, "photos/" + "y" * 300, "photos/\0"])
def test_paths_that_no_file_can_have(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for load in (data.ingest, data.load_labeled):
        with mentioning(InputError, "there is no data at", "keras:cifar10"):
            load(path)
    with mentioning(InputError, "no folder"):
        data.from_table({"file": ["a"], "label": ["b"]}, file="file", label="label", folder=path)


def test_data_sets_without_files_are_not_loaded_to_be_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(ingest, "load_named", lambda name, options: pytest.fail("loaded"))
    for options in ({"to": tmp_path}, {"sha256": "0" * 64}):
        with mentioning(InputError, "keras:cifar10", "--to and --sha256"):
            data.ingest("keras:cifar10", **options)
    with mentioning(InputError, "keras:cifar10", "--shard"):
        data.ingest_part("keras:cifar10", "1/2")


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda folder: data.ingest(folder, to=5), ("to", "5")),
        (lambda folder: data.ingest(folder, sha256=5), ("sha256", "5")),
        (lambda folder: data.ingest(folder, on_bad=5), ("'5'", "skip")),
        (lambda folder: data.ingest_part(folder, 5), ("'5'", "2/5")),
        (lambda folder: data.load(folder, limit="5"), ("limit", "'5'")),
        (lambda folder: data.write_records(data.load("digits"), folder / "new", shards="2"), ("shards", "'2'")),
    ],
)
def test_arguments_of_another_type_are_refused(photographs, call, parts):
    with mentioning(InputError, *parts):
        call(photographs)
