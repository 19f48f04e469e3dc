"""A source in, every file accounted for, by the function and by the command."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, data
from kerascnn.data.ingestion import image_check, manifest
from kerascnn.files.secret_urls import secrets_file
from support.archives import zipped
from support.messages import mentioning, names
from support.servers import LoopbackServer, serving

OUTSIDE = {"../../outside.jpg": b"x"}


def fill(folder, classes=("cat", "dog"), count=6, first=0):
    for kind in classes:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            generator = np.random.default_rng([number, len(kind), ord(kind[0])])
            pixels = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{number}.jpg")
    return folder


@pytest.fixture
def photos(tmp_path):
    """Twelve images and three files that are none."""
    folder = fill(tmp_path / "photos")
    (folder / "cat" / "empty.jpg").write_bytes(b"")
    (folder / "dog" / "page.jpg").write_bytes(b"<html>404</html>")
    (folder / "dog" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    return folder


def packed(folder, archive, **others):
    files = {str(file.relative_to(folder.parent)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    archive.write_bytes(zipped([*sorted(files.items()), *others.items()]))
    return archive


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_every_file_is_accounted_for(photos):
    found = data.ingest(photos)
    assert {entry.path for entry in found.files} == files_below(photos)
    empty, page = found.with_status("unreadable")
    assert empty.path == "cat/empty.jpg" and "0 bytes" in empty.reason
    assert page.path == "dog/page.jpg" and "web page" in page.reason
    assert [entry.path for entry in found.with_status("ignored")] == ["dog/Thumbs.db"]
    assert len(found.data.training) + len(found.data.validation) == len(found.with_status("read")) == 12
    for entry in found.with_status("read"):
        assert entry.sha256 == hashlib.sha256((photos / entry.path).read_bytes()).hexdigest()
        assert (entry.format, entry.width, entry.height) == ("JPEG", 12, 12)


def test_nothing_is_written_to_the_users_folder(photos, cache):
    before = files_below(photos.parent)
    found = data.ingest(photos)
    assert files_below(photos.parent) == before
    assert found.manifest.is_relative_to(cache)


def test_a_second_start_reads_only_changed_files(photos, decoded):
    first = data.ingest(photos)
    decoded.clear()
    assert data.ingest(photos).files == first.files
    assert decoded == []
    (photos / "cat" / "0.jpg").write_bytes(b"changed")
    fill(photos, count=1, first=50)
    (photos / "dog" / "1.jpg").unlink()
    again = data.ingest(photos)
    assert sorted(decoded) == ["cat/0.jpg", "cat/50.jpg", "dog/50.jpg"]
    assert {entry.path for entry in again.files} == files_below(photos)


def test_images_keep_their_split_when_others_are_added(photos):
    def validation(found):
        return {entry.path for entry in found.with_status("read") if entry.split == "validation"}

    fill(photos, count=30)
    first = data.ingest(photos)
    fill(photos, count=60, first=100)
    second = data.ingest(photos)
    assert validation(first) == validation(second) & {entry.path for entry in first.files}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: "no JSON\n" + text,
        lambda text: '["something", "else"]\n' + text,
        lambda text: text.replace("Pillow", "Pillow 0.1", 1),
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"path"', '"other"'),
        lambda text: text.replace('"read"', '"excellent"'),
        lambda text: "\0\xff" * 500,
    ],
)
def test_a_damaged_or_foreign_manifest_is_rebuilt(photos, tmp_path, damage):
    first = data.ingest(photos, to=tmp_path / "stored")
    whole = first.manifest.read_text()
    first.manifest.write_text(damage(whole))
    assert data.ingest(photos, to=tmp_path / "stored").files == first.files
    assert first.manifest.read_text() == whole


def test_a_manifest_is_written_atomically(photos, tmp_path):
    path = data.ingest(photos, to=tmp_path / "stored").manifest
    whole = path.read_text()

    def entries():
        yield image_check.FileRecord("1.jpg")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        manifest.write_manifest(path, manifest.read_manifest(path).source_record, entries())
    assert path.read_text() == whole
    assert os.listdir(path.parent) == [manifest.NAME]


def test_an_interrupted_check_stores_its_results(photos, decoded):
    def broken_off(items, total, description):
        for number, item in enumerate(items):
            if number == 5:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        data.ingest(photos, track=broken_off)
    decoded.clear()
    found = data.ingest(photos)
    # An empty file is not decoded.
    assert len(decoded) == len(found.with_status("read") + found.with_status("unreadable")) - 5 - 1


def test_on_bad_fail(photos):
    with mentioning(InputError, photos, "2 files", "cat/empty.jpg", "0 bytes"):
        data.ingest(photos, on_bad="fail")
    (photos / "cat" / "empty.jpg").unlink()
    (photos / "dog" / "page.jpg").unlink()
    data.ingest(photos, on_bad="fail")
    with mentioning(InputError, "'ignore'", "fail", "move"):
        data.ingest(photos, on_bad="ignore")


@pytest.mark.parametrize("to", [None, "stored"])
def test_on_bad_move(photos, tmp_path, to):
    before = files_below(photos)
    (tmp_path / "outside.txt").write_text("not an image")
    (photos / "cat" / "link.jpg").symlink_to(tmp_path / "outside.txt")
    found = data.ingest(photos, to=to and tmp_path / to, on_bad="move")
    quarantine = tmp_path / "stored" / "kerascnn-quarantine" if to else tmp_path / "photos-quarantine"
    assert (found.moved, found.quarantine) == (3, quarantine)
    assert files_below(photos) == before - {"cat/empty.jpg", "dog/page.jpg"}
    assert (tmp_path / "outside.txt").exists()
    listed = [json.loads(line) for line in (quarantine / "list.jsonl").read_text().splitlines()]
    assert [item["path"] for item in listed] == ["cat/empty.jpg", "cat/link.jpg", "dog/page.jpg"]
    for item, reason in zip(listed, ("0 bytes", "not an image", "web page"), strict=True):
        assert reason in item["reason"]
    assert all(os.path.lexists(item["moved_to"]) for item in listed)
    # A second file of the same name gets a number.
    (photos / "cat" / "empty.jpg").write_bytes(b"")
    data.ingest(photos, to=to and tmp_path / to, on_bad="move")
    assert {"empty.jpg", "empty.jpg.1"} <= set(os.listdir(quarantine / "cat"))
    assert data.ingest(photos).moved == 0


def test_on_bad_move_leaves_files_outside_the_folder(photos, tmp_path):
    """A table of an untrusted archive may name any file."""
    outside = [tmp_path / "relative.jpg", tmp_path / "absolute.jpg"]
    for file in outside:
        file.write_bytes(b"not an image")
    labels = [f"{kind}/{number}.jpg,{kind}" for kind in ("cat", "dog") for number in range(6)]
    (photos / "labels.csv").write_text("\n".join([*labels, "../relative.jpg,cat", f"{outside[1]},dog"]))
    found = data.ingest(photos, on_bad="move")
    assert {file.path for file in found.with_status("unreadable")} >= {"../relative.jpg", str(outside[1])}
    assert found.moved == 0 and all(file.exists() for file in outside)


def test_an_archive_is_unpacked_once(photos, tmp_path, monkeypatch, decoded):
    archive = packed(photos, tmp_path / "pets.zip")
    first = data.ingest(archive, to=tmp_path / "pets", sha256=hashlib.sha256(archive.read_bytes()).hexdigest().upper())
    assert first.data.name == "pets"
    assert first.data.source == str(tmp_path / "pets")
    assert {entry.path for entry in first.files} == files_below(tmp_path / "pets" / "images")
    decoded.clear()
    monkeypatch.setattr("kerascnn.data.ingestion.sources.unpack", lambda *_: pytest.fail("unpacked again"))
    for source in (archive, tmp_path / "pets"):
        again = data.ingest(source, **({"to": tmp_path / "pets"} if source == archive else {}))
        assert (again.files, again.data.name, again.data.source) == (first.files, "pets", first.data.source)
    assert decoded == []
    other = packed(fill(tmp_path / "others"), tmp_path / "others.zip")
    with mentioning(InputError, tmp_path / "pets" / "images", archive, "remove"):
        data.ingest(other, to=tmp_path / "pets")


def test_an_archive_without_to_leaves_only_a_cached_manifest(photos, tmp_path, decoded):
    archive = packed(photos, tmp_path / "pets.zip")
    before = files_below(tmp_path)
    data.ingest(archive)
    assert files_below(tmp_path) == before
    decoded.clear()
    data.load(archive)
    assert decoded == []
    with mentioning(InputError, archive, "temporary", "--to"):
        data.ingest(archive, on_bad="move")


@pytest.fixture
def served(tmp_path):
    """A folder, its server's URL, and the paths that were asked for."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(self.path)

    folder = tmp_path / "served"
    folder.mkdir()
    with serving(LoopbackServer(partial(Handler, directory=folder))) as server:
        yield folder, server.url().rstrip("/"), asked


def test_a_url_is_downloaded_once(photos, tmp_path, served):
    folder, url, asked = served
    digest = hashlib.sha256(packed(photos, folder / "pets.zip").read_bytes()).hexdigest()
    first = data.ingest(f"{url}/pets.zip", to=tmp_path / "pets", sha256=digest)
    assert (first.data.name, len(first.with_status("read"))) == ("pets", 12)
    assert set(os.listdir(tmp_path / "pets")) == {"images", manifest.NAME}
    count = len(asked)
    assert data.ingest(f"{url}/pets.zip", to=tmp_path / "pets").files == first.files
    assert len(asked) == count
    # Without a folder of its own the download is stored in the cache.
    loaded = data.load(f"{url}/pets.zip")
    again = data.load(f"{url}/pets.zip")
    assert loaded.source == f"{url}/pets.zip"
    assert len(loaded.training) == len(again.training) == len(first.data.training)
    with mentioning(InputError, f"{url}/missing.zip", 404):
        data.ingest(f"{url}/missing.zip", to=tmp_path / "missing")
    with mentioning(InputError, f"{url}/pets.zip", "SHA-256", digest, "0" * 64):
        data.ingest(f"{url}/pets.zip", to=tmp_path / "other", sha256="0" * 64)


def test_the_secrets_of_a_url_are_in_one_file_only(photos, tmp_path, served, command, cache):
    folder, url, asked = served
    packed(photos, folder / "pets.zip")
    shown = command("ingest", f"{url}/pets.zip?token=SECRET", "--to", tmp_path / "pets", "--json")
    assert shown.status == 0 and "SECRET" not in shown.out + shown.err
    assert "/pets.zip?token=SECRET" in asked
    data.write_records(data.load(f"{url}/pets.zip?token=SECRET"), tmp_path / "records")
    files = [path for path in (*tmp_path.rglob("*"), *cache.rglob("*")) if path.is_file()]
    assert {path for path in files if b"SECRET" in path.read_bytes()} == {secrets_file()}
    # The name by which the data are known is enough to load them again.
    loaded = data.load(f"{url}/pets.zip?token=SECRET")
    assert loaded.source.startswith(f"{url}/pets.zip?…") and data.load(loaded.source).source == loaded.source
    other = data.DataOptions(validation_source=f"{url}/pets.zip?token=SECRET")
    assert other.validation_source == loaded.source
    failed = command("ingest", f"{url}/missing.zip?token=SECRET")
    assert failed.status == 2 and "SECRET" not in failed.err
    names(failed.err, f"{url}/missing.zip?…", 404)


def test_tfrecord_shards_are_a_source(photos, tmp_path):
    images = data.load(photos)
    data.write_records(images, tmp_path / "records")
    found = data.ingest(tmp_path / "records")
    assert found.layout == "TFRecord shards"
    assert len(found.data.training) == len(images.training)
    with mentioning(InputError, tmp_path / "records", "no files"):
        data.ingest(tmp_path / "records", to=tmp_path / "x")


def test_rejected_files_are_reported_again(photos, tmp_path):
    archive = packed(photos, tmp_path / "pets.zip", **OUTSIDE)
    for _ in range(2):
        found = data.ingest(archive, to=tmp_path / "pets")
        [rejected] = found.with_status("rejected")
        assert "outside" in rejected.path and rejected.reason
    assert len(found.data.skipped) == 3
    with mentioning(InputError, archive, "3 files"):
        data.ingest(archive, on_bad="fail")


def test_an_interrupted_unpacking_does_not_look_complete(photos, tmp_path, monkeypatch):
    archive = packed(photos, tmp_path / "pets.zip")

    def killed(archive, folder, **_):
        (folder / "cat").mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("kerascnn.data.ingestion.sources.unpack", killed)
        with pytest.raises(KeyboardInterrupt):
            data.ingest(archive, to=tmp_path / "pets")
    assert list((tmp_path / "pets").iterdir()) == []
    assert len(data.ingest(archive, to=tmp_path / "pets").with_status("read")) == 12


def test_an_interrupted_check_keeps_the_rejected_files(photos, tmp_path):
    """Also when everything is checked again, because another version made the manifest."""
    archive = packed(photos, tmp_path / "pets.zip", **OUTSIDE)
    path = data.ingest(archive, to=tmp_path / "pets").manifest
    path.write_text(path.read_text().replace("Pillow", "Pillow 0.1", 1))

    def interrupted(items, total, description):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.ingest(archive, to=tmp_path / "pets", track=interrupted)
    assert len(data.ingest(archive, to=tmp_path / "pets").with_status("rejected")) == 1


def test_a_wrong_sha256_is_an_error(photos, tmp_path):
    archive = packed(photos, tmp_path / "pets.zip")
    with mentioning(InputError, archive, hashlib.sha256(archive.read_bytes()).hexdigest(), "not 00"):
        data.ingest(archive, sha256="00")
    with mentioning(InputError, "one file", photos, "folder"):
        data.ingest(photos, sha256="00")
    with mentioning(InputError, "digits", "no files"):
        data.ingest("digits", to=tmp_path)


def test_duplicates_across_splits_and_classes(tmp_path):
    folder = fill(tmp_path / "set" / "train")
    fill(tmp_path / "set" / "test", count=3, first=90)
    shutil.copy(folder / "cat" / "0.jpg", tmp_path / "set" / "test" / "cat" / "leaked.jpg")
    shutil.copy(folder / "cat" / "1.jpg", folder / "dog" / "contradiction.jpg")
    shutil.copy(folder / "cat" / "2.jpg", folder / "cat" / "copy.jpg")
    copies = data.ingest(tmp_path / "set").duplicates
    assert copies.across_splits == (("train/cat/0.jpg", "test/cat/leaked.jpg"),)
    assert copies.across_classes == (("train/cat/1.jpg", "train/dog/contradiction.jpg"),)
    assert len(copies.groups) == 3


def test_a_test_folder_next_to_a_validation_folder_is_not_used(tmp_path):
    for number, split in enumerate(("train", "val", "test")):
        fill(tmp_path / split, count=3, first=10 * number)
    found = data.ingest(tmp_path)
    used = {os.path.relpath(path, tmp_path).split(os.sep)[0] for path in found.data.validation.paths}
    assert used == {"val"}
    assert {entry.path.split("/")[0] for entry in found.with_status("read") if entry.split == "test"} == {"test"}


def test_class_weights_give_classes_the_same_total(tmp_path):
    fill(tmp_path, ("cat",), count=10)
    fill(tmp_path, ("dog",), count=60)
    loaded = data.load(tmp_path)
    counts = np.bincount(loaded.training.labels)
    weights = loaded.class_weights()
    np.testing.assert_allclose([weights[0] * counts[0], weights[1] * counts[1]], len(loaded.training) / 2, rtol=1e-6)
    assert loaded.imbalance() == pytest.approx(counts[1] / counts[0])


def test_the_command(photos, command, tmp_path):
    shown = command("ingest", photos)
    assert shown.status == 0
    names(shown.out, "photos: ", "subfolder per class", "15 files", "12 JPEG", "dog/page.jpg")
    report = json.loads(command("ingest", photos, "--json", "--to", tmp_path / "stored").out)
    assert report["files"] == {
        "found": 15,
        "read": 12,
        "unreadable": 2,
        "contradictory": 0,
        "rejected": 0,
        "ignored": 1,
    }
    assert sum(report["classes"]["cat"].values()) == 6
    assert report["manifest"] == str(tmp_path / "stored" / manifest.NAME)
    failed = command("ingest", photos, "--on-bad", "fail")
    assert (failed.status, failed.err.count("\n")) == (2, 1)
    assert command("ingest", "digits").out.count("\n") > 10


def test_unreadable_files_are_listed_once(photos, command, capsys):
    """In full where they are found; then one line, with the command that lists them."""
    from kerascnn.cli import datasets

    def shown(**options):
        datasets.load(str(photos), None, data.DataOptions(**options))
        return capsys.readouterr().err

    first = shown()
    names(first, "2 files skipped, not readable as images:", "cat/empty.jpg: 0 bytes", "dog/page.jpg: ")
    for _ in range(2):
        again = shown()
        names(again, f"2 files skipped, not readable as images; listed by: kerascnn ingest {photos}\n")
        assert "empty.jpg" not in again
    (photos / "my folder").mkdir()
    (photos / "my folder" / "1.jpg").write_bytes(b"")
    names(shown(fold=(1, 2), leave_out=("my folder",)), f"ingest {photos} --fold 1/2 --leave-out 'my folder'\n")
    shutil.rmtree(photos / "my folder")
    listed = command("ingest", photos).out
    names(listed, "2 files skipped, not readable as images:", "cat/empty.jpg: 0 bytes", "dog/page.jpg: ")
    assert len(json.loads(command("ingest", photos, "--json").out)["unreadable"]) == 2
    # So are those of images that are given for an evaluation.
    datasets.load_all(str(photos), data.DataOptions())
    names(capsys.readouterr().err, f"2 files skipped, not readable as images; listed by: kerascnn ingest {photos}\n")
    # Another one is news.
    (photos / "dog" / "cut.jpg").write_bytes(b"")
    names(shown(), "3 files skipped", "dog/cut.jpg", "cat/empty.jpg")
    assert "dog/cut.jpg" not in shown()


def test_images_in_two_classes_are_counted_apart(tmp_path, command):
    folder = fill(tmp_path / "photos")
    rows = [f"{kind}/{number}.jpg,{kind}" for kind in ("cat", "dog") for number in range(6)]
    (folder / "labels.csv").write_text("\n".join(["file,label", *rows, "cat/1.jpg,dog"]))
    found = data.ingest(folder)
    [contradictory] = found.with_status("contradictory")
    assert contradictory.path == "cat/1.jpg" and "'cat' and 'dog'" in contradictory.reason
    assert found.with_status("unreadable") == [] and found.data.skipped == ()
    assert len(found.data.training) + len(found.data.validation) == 11
    names(command("ingest", folder).out, "1 file skipped, in two classes:", "cat/1.jpg: ", "'cat' and 'dog'")
    report = json.loads(command("ingest", folder, "--json").out)
    assert report["files"]["contradictory"] == 1 and report["contradictory"][0]["path"] == "cat/1.jpg"


def test_what_phones_store_beside_images_is_ignored(tmp_path):
    folder = fill(tmp_path / "photos")
    for name in ("0.MOV", "1.aae", "2.jpg.json", "3.jpg.xmp", "alone.mov"):
        (folder / "cat" / name).write_bytes(b"\0\0\0\x14ftypqt  ")
    found = data.ingest(folder)
    reasons = {file.path: file.reason for file in found.with_status("ignored")}
    assert set(reasons) == {"cat/0.MOV", "cat/1.aae", "cat/2.jpg.json", "cat/3.jpg.xmp"}
    assert "Live Photo" in reasons["cat/0.MOV"]
    [alone] = found.with_status("unreadable")
    assert alone.path == "cat/alone.mov" and "video" in alone.reason


def test_a_second_start_does_not_import_tensorflow(photos, tmp_path):
    """It reads the manifest, and TensorFlow is not started for that."""
    data.ingest(photos, to=tmp_path / "stored")
    program = (
        f"import sys; from kerascnn import data; found = data.ingest({str(tmp_path / 'stored')!r})\n"
        "assert len(found.files) == 15 and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_cache_that_cannot_be_written_is_no_error(photos, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "file"))
    found = data.ingest(photos)
    assert found.manifest is None and len(found.with_status("read")) == 12
    with mentioning(InputError, tmp_path / "file", "written"):
        data.ingest(photos, to=tmp_path / "file" / "deep")
