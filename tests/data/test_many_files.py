"""Sources of very many files: compact records, checks that are killed and resumed, and several machines."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, data
from kerascnn.data.ingestion import manifest
from kerascnn.data.ingestion.file_table import FileTable
from kerascnn.data.ingestion.image_check import FileRecord
from kerascnn.data.ingestion.manifest import Part
from support.archives import zipped
from support.messages import mentioning, names

PARTS = ("1/3", "2/3", "3/3")


def fill(folder, count=20):
    """Images of two classes, and two files that are none."""
    for kind in ("cat", "dog"):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            generator = np.random.default_rng([number, ord(kind[0])])
            Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(
                folder / kind / f"{kind} {number}.png"
            )
    (folder / "cat" / "empty.png").write_bytes(b"")
    (folder / "dog" / "page.png").write_bytes(b"<html>")
    return folder


@pytest.fixture
def photos(tmp_path):
    return fill(tmp_path / "photos")


def record(number):
    return FileRecord(
        f"class {number % 7}/\udcff{number}.jpg",
        f"class {number % 7}",
        "training" if number % 3 else None,
        number,
        -(10**18) + number,
        hashlib.sha256(bytes([number])).hexdigest() if number % 5 else "",
        "JPEG",
        number % 11,
        None,
        "tensorflow",
        "read" if number % 2 else "unreadable",
        f"reason {number % 4}" if number % 2 else None,
        ("gray",) * (number % 3),
    )


def test_a_table_gives_the_records_back():
    records = [record(number) for number in range(100)]
    table = FileTable(records)
    assert list(table) == records and len(table) == 100
    assert [table[row] for row in range(-100, 100)] == records * 2 and table[10:30:3] == records[10:30:3]
    assert table == FileTable(records) != FileTable(records[1:])
    # Equal records may have been numbered in another order.
    assert FileTable([*records, *records[::-1]][100:][::-1]) == table
    changed = table.with_column("split", ["test"] * 100)
    assert list(changed) == [replace(one, split="test") for one in records] and list(table) == records
    assert table.rows(status="read", format="JPEG").tolist() == list(range(1, 100, 2))
    assert table.rows(status="never").tolist() == []
    assert table.counts("width", np.arange(11, 20)) == dict.fromkeys(range(9), 1)
    assert table.prefixes("sha256")[1] == int(records[1].sha256[:16], 16)
    with pytest.raises(IndexError):
        table[100]


def test_a_table_finds_the_last_record_of_a_path():
    find = FileTable([record(number) for number in range(100)] + [replace(record(5), size=1)]).finder()
    assert find(record(7).path) == record(7) and find(record(5).path).size == 1
    assert find("class 0/none.jpg") is None and FileTable().finder()("a") is None


def test_a_record_takes_few_bytes():
    import tracemalloc

    tracemalloc.start()
    table = FileTable(record(number % 256) for number in range(5000))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(table) == 5000 and size < 200 * 5000


@pytest.mark.parametrize(
    "change",
    [
        {"path": 5}, {"path": ""}, {"size": "1"}, {"size": 2**70}, {"mtime_ns": 1.5}, {"sha256": "xyz"},
        {"sha256": "0" * 62}, {"perceptual_hash": "0"}, {"status": "excellent"}, {"warnings": [["a"]]},
        {"class_name": {"a": 1}}, {"other": 1}, {"width": True}, {"decoder": ["x"]},
    ],
)  # fmt: skip
def test_hostile_lines_are_no_records(change):
    whole = json.loads(manifest.format_record(record(9)))
    assert manifest.parse_record(json.dumps(whole)) == record(9)
    assert manifest.parse_record(json.dumps(whole | change)) is None
    for line in ("", "[]", "null", "[" * 100_000, '{"path":'):
        assert manifest.parse_record(line) is None


@pytest.mark.parametrize("text", ["", "5\n", '"text"\n', "{}\n", "[" * 100_000])
def test_a_hostile_file_is_no_manifest(tmp_path, text):
    path = tmp_path / manifest.NAME
    path.write_text(text)
    assert manifest.read_source_record(path) is None
    assert manifest.read_manifest(path).source_record is None


PROGRAM = """
import sys, time
from kerascnn import data
from kerascnn.data.ingestion import image_check, manifest
facts = image_check.Readers.facts
image_check.PORTION = 1
manifest.JOURNAL_BUFFER = 1
def slow(readers, requests):
    time.sleep(0.02)
    print(requests[0].path, flush=True)
    return facts(readers, requests)
image_check.Readers.facts = slow
data.ingest(sys.argv[1], to=sys.argv[2])
"""


def test_a_killed_check_goes_on_where_it_was(photos, tmp_path, decoded):
    whole = data.ingest(photos, to=tmp_path / "whole")
    store = tmp_path / "stored"
    with subprocess.Popen([sys.executable, "-c", PROGRAM, photos, store], stdout=subprocess.PIPE, text=True) as check:
        for _ in range(20):
            check.stdout.readline()
        time.sleep(0.1)
        check.send_signal(signal.SIGKILL)
    assert not (store / manifest.NAME).exists()
    journal = manifest.journal_path(store / manifest.NAME)
    kept = [json.loads(line)["path"] for line in journal.read_text().splitlines()[1:] if line.endswith("}")]
    assert len(kept) > 5
    # A line that was cut is not read, and the next one is not glued to it.
    with journal.open("a") as file:
        file.write('{"path": "cat/1.p')
    decoded.clear()
    again = data.ingest(photos, to=store)
    rest = [file for file in whole.files if file.path not in kept]
    # An empty file is not decoded.
    assert sorted(decoded) == sorted(file.path for file in rest if file.size)
    assert again.files == whole.files and again.effort.checked == len(rest)
    assert os.listdir(store) == [manifest.NAME]


def test_the_report_says_how_fast_it_was_and_how_large_the_manifest_is(photos, tmp_path, command):
    first, second = (command("ingest", photos, "--to", tmp_path / "stored").out for _ in range(2))
    names(first, "42 files checked in ", " per second")
    assert "per second" not in second
    names(second, f"manifest: {tmp_path / 'stored' / manifest.NAME} (0.0 MB, read in ")
    effort = data.ingest(photos, to=tmp_path / "stored").effort
    assert effort.checked == 0 and effort.manifest_bytes == (tmp_path / "stored" / manifest.NAME).stat().st_size


def test_an_unchanged_manifest_is_not_written_again(photos, tmp_path, monkeypatch):
    data.ingest(photos, to=tmp_path / "stored")
    monkeypatch.setattr(manifest, "write_manifest", lambda *_: pytest.fail("written again"))
    data.ingest(photos, to=tmp_path / "stored")


def test_a_folder_that_cannot_be_written(photos, tmp_path, monkeypatch):
    """A second start needs to write nothing; a full disk is one sentence."""
    store = tmp_path / "stored"
    first = data.ingest(photos, to=store)

    really_open = open

    def full(path, mode="r", *rest, **options):
        if mode[0] in "wa":
            raise OSError(28, "No space left on device")
        return really_open(path, mode, *rest, **options)

    monkeypatch.setattr("builtins.open", full)
    assert data.ingest(photos, to=store).files == first.files
    os.utime(photos / "cat" / "cat 1.png", ns=(1, 1))
    with mentioning(InputError, store, "No space left on device"):
        data.ingest(photos, to=store)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_parts_of_several_machines_make_the_whole(photos, tmp_path, decoded, packed, command):
    source = photos
    if packed:
        files = {str(file.relative_to(tmp_path)): file.read_bytes() for file in sorted(photos.rglob("*.png"))}
        source = tmp_path / "photos.zip"
        source.write_bytes(zipped([*files.items(), ("../outside.png", b"x")]))
    shared = tmp_path / "shared"
    for number in (1, 3):
        report = json.loads(command("ingest", source, "--to", shared, "--shard", f"{number}/3", "--json").out)
        assert report["whole"] is None and report["missing"] == [part for part in PARTS[1:] if part != f"{number}/3"]
    assert 5 < report["effort"]["checked"] < 25
    shown = command("ingest", source, "--to", shared, "--shard", "2/3").out
    names(shown, "part 2/3", "all parts are there", "43 files" if packed else "42 files")
    # As without parts, in every byte, except that an archive that is unpacked again has other times of change.
    merged = (shared / manifest.NAME).read_text().splitlines()
    if packed:
        record, files = (
            manifest.read_source_record(shared / manifest.NAME),
            manifest.read_manifest(shared / manifest.NAME),
        )
        manifest.write_manifest(shared / manifest.NAME, record, files.files[-1:])
        whole = data.ingest(source, to=shared)
    else:
        whole = data.ingest(source, to=tmp_path / "whole")
    assert whole.effort.checked == 42 and merged[1:] == whole.manifest.read_text().splitlines()[1:]
    assert set(os.listdir(shared)) == {manifest.NAME, *(["images"] if packed else [])}
    decoded.clear()
    assert len(data.ingest(source, to=shared).files) == len(merged) - 1 and decoded == []


def test_part_manifests_can_be_copied_together(photos, tmp_path, decoded):
    """Machines without shared storage."""
    for part in PARTS:
        checked = data.ingest_part(photos, part, to=tmp_path / f"machine {part[0]}")
        assert set(checked.missing) == set(PARTS) - {part}
        (tmp_path / "all").mkdir(exist_ok=True)
        shutil.copy(checked.manifest, tmp_path / "all")
    decoded.clear()
    found = data.ingest(photos, to=tmp_path / "all")
    assert decoded == [] and found.missing_parts == ()
    assert found.files == data.ingest(photos, to=tmp_path / "whole").files
    assert os.listdir(tmp_path / "all") == [manifest.NAME]


def test_missing_parts_are_named(photos, tmp_path, decoded, command):
    data.ingest_part(photos, "2/3", to=tmp_path / "stored")
    decoded.clear()
    shown = command("ingest", photos, "--to", tmp_path / "stored").out
    names(shown, "parts 1/3, 3/3", "missing")
    assert decoded and all(not Part(2, 3).holds(path) for path in decoded)
    # It stays until the others are there.
    assert (tmp_path / "stored" / "kerascnn-manifest-2-of-3.jsonl").exists()


@pytest.fixture(scope="module")
def first_part(tmp_path_factory):
    """A folder, and the manifest of its part 1/2."""
    folder = tmp_path_factory.mktemp("first")
    return fill(folder / "photos"), data.ingest_part(
        folder / "photos", "1/2", to=folder / "stored"
    ).manifest.read_text()


def rewritten(text, change):
    """A part manifest with other lines, whose last line is right for them."""
    lines = change(text.splitlines(keepends=True)[:-1])
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return "".join(lines) + json.dumps({"files": len(lines) - 1, "sha256": digest}) + "\n"


def with_values(**values):
    return lambda lines: [lines[0], json.dumps(json.loads(lines[1]) | values) + "\n", *lines[2:]]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: "", "part 1/2"),
        (lambda text: text[: len(text) // 2], "incomplete"),
        (lambda text: text[: text.rstrip().rindex("\n") + 1], "incomplete"),
        (lambda text: text.replace('"PNG"', '"GIF"', 1), "damaged"),
        (lambda text: text + "{}\n", "damaged"),
        (lambda text: text.replace("[1, 2]", "[2, 2]", 1), "not the manifest of part 1/2"),
        (lambda text: text.replace('"photos"', '"others"', 1), "'others', not of 'photos'"),
        (lambda text: text.replace("Pillow", "Pillow 0.1", 1), "Pillow 0.1"),
        (lambda text: rewritten(text, with_values(path="cat/of another part 5")), "damaged"),
        (lambda text: rewritten(text, with_values(decoder="perl")), "damaged"),
        (lambda text: rewritten(text, with_values(status="ignored")), "damaged"),
        (lambda text: rewritten(text, with_values(sha256="")), "damaged"),
        (lambda text: rewritten(text, with_values(mtime_ns=10**30)), "damaged"),
        (lambda text: rewritten(text, lambda lines: [*lines, "x" * 2_000_000 + "\n"]), "damaged"),
    ],
)
def test_hostile_and_half_written_parts_are_refused(first_part, tmp_path, damage, reason):
    photos, whole = first_part
    path = tmp_path / "kerascnn-manifest-1-of-2.jsonl"
    path.write_text(damage(whole))
    with mentioning(InputError, path, reason, "--shard 1/2"):
        data.ingest(photos, to=tmp_path)


def test_a_refused_part_is_checked_again(first_part, tmp_path):
    """As the error says; nothing of the other machine's work is lost."""
    photos, whole = first_part
    path = tmp_path / "kerascnn-manifest-1-of-2.jsonl"
    assert rewritten(whole, lambda lines: lines) == whole
    path.write_text(whole[:-100])
    with mentioning(InputError, path, "incomplete"):
        data.ingest_part(photos, "2/2", to=tmp_path)
    path.unlink()
    found = data.ingest_part(photos, "1/2", to=tmp_path)
    assert found.missing == () and len(found.whole.with_status("read")) == 40 and found.whole.effort.checked == 0


@pytest.mark.parametrize("part", ["", "2", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/3/5", "1/99999"])
def test_a_part_is_a_number_of_another(photos, part):
    with mentioning(InputError, "--shard", f"'{part}'", "2/5"):
        data.ingest_part(photos, part)


def test_what_has_no_parts(photos, command):
    with mentioning(InputError, "digits", "--shard"):
        data.ingest_part("digits", "1/2")
    for option in (("--on-bad", "move"), ("--tfrecord", "shards")):
        shown = command("ingest", photos, "--shard", "1/2", *option)
        assert shown.status == 2
        names(shown.err, option[0], "--shard")


def test_every_file_is_in_one_part():
    paths = [f"cat/{number}.jpg" for number in range(3000)]
    for count in (1, 2, 7):
        held = [[path for path in paths if Part(number, count).holds(path)] for number in range(1, count + 1)]
        assert sorted(path for part in held for path in part) == sorted(paths)
        # Three standard deviations of a binomial share.
        assert all(abs(len(part) - 3000 / count) <= 3 * (3000 / count) ** 0.5 for part in held)


def test_machines_that_unpack_at_the_same_time(photos, tmp_path, monkeypatch):
    """The slower one takes the images of the faster one."""
    from kerascnn.data.ingestion import sources

    files = {str(file.relative_to(tmp_path)): file.read_bytes() for file in sorted(photos.rglob("*.png"))}
    archive = tmp_path / "photos.zip"
    archive.write_bytes(zipped([*files.items()]))
    unpack = sources.unpack

    def slow(*arguments, **options):
        monkeypatch.setattr(sources, "unpack", unpack)
        data.ingest_part(archive, "1/2", to=tmp_path / "shared")
        return unpack(*arguments, **options)

    monkeypatch.setattr(sources, "unpack", slow)
    found = data.ingest_part(archive, "2/2", to=tmp_path / "shared").whole
    assert len(found.with_status("read")) == 40
    assert set(os.listdir(tmp_path / "shared")) == {manifest.NAME, "images"}
