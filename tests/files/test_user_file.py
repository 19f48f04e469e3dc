"""What users name may be a pipe, a device, a socket, endless, enormous or absurd: every reader ends in one sentence."""

import gzip
import io
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kerascnn import data
from kerascnn.applications.weights import load as weights
from kerascnn.applications.weights.tensor_files import read_tensors
from kerascnn.data.ingestion.image_formats import read_image
from kerascnn.errors import InputError, refused
from kerascnn.evaluation.model_options import read_labels
from kerascnn.evaluation.trained_on import was_trained_on
from kerascnn.files import memory, user_file
from kerascnn.files.folder_owner import HOLDER, owned
from kerascnn.files.machine_errors import machine_error
from kerascnn.files.user_file import MAX_TEXT, checked_file, checked_folder, open_file, read_bytes, read_text
from kerascnn.training.recipe.files import MOST_VALUES, assignments, read_yaml
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run_images import changed_images
from support.messages import mentioning

# Readers and the suffix that they ask for.
READERS = {
    "image": (read_image, ".jpg"),
    "labels": (read_labels, ".txt"),
    "recipe": (read_yaml, ".yaml"),
    "table": (lambda path: data.from_table(path, file="file", label="label"), ".csv"),
    "torch": (read_tensors, ".pth"),
    "safetensors": (read_tensors, ".safetensors"),
    "weights": (weights.read, ".h5"),
    "archive": (data.load, ".zip"),
    "index": (lambda path: data.load_records(path.parent), ".json"),
}


def hostile(kind, path):
    """Makes a file of a kind at a path; what has to live as long as it."""
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            server = socket.socket(socket.AF_UNIX)
            server.bind(str(path))
            return server
        case "folder":
            path.mkdir()
        case "endless":
            path.symlink_to("/dev/zero")
        case "memory":
            path.symlink_to("/proc/self/mem")
        case "log":
            path.symlink_to("/proc/kmsg")
        case "sparse":
            with open(path, "wb") as file:
                file.truncate(10**13)
    return None


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "endless", "memory", "log", "sparse"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_ends_in_a_sentence(tmp_path, monkeypatch, reader, kind):
    # Names of sockets are short.
    monkeypatch.chdir(tmp_path)
    read, suffix = READERS[reader]
    path = tmp_path / f"index{suffix}"
    made = hostile(kind, path.relative_to(tmp_path) if kind == "socket" else path)
    started = time.perf_counter()
    with pytest.raises(InputError) as refusal:
        read(path)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)
    assert time.perf_counter() - started < 5
    if made:
        made.close()


@pytest.mark.parametrize("kind", ["pipe", "endless", "log"])
def test_a_manifest_among_images_that_is_no_file(photographs, tmp_path, kind):
    folder = shutil.copytree(photographs, tmp_path / "photographs")
    hostile(kind, folder / "kerascnn-manifest.jsonl")
    assert len(data.load(folder).class_names) > 1


@pytest.mark.parametrize("kind", ["pipe", "socket", "endless", "log"])
def test_a_folder_is_checked_before_a_library_opens_its_files(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "index").touch()
    assert checked_folder(tmp_path) == tmp_path
    made = hostile(kind, Path("variables/data"))
    started = time.perf_counter()
    with pytest.raises(OSError, match=r"regular file|permitted|empty"):
        checked_folder(tmp_path)
    assert time.perf_counter() - started < 5
    if made:
        made.close()


@pytest.mark.parametrize("kind", ["pipe", "endless", "memory", "log"])
def test_weights_are_a_file_before_anybody_opens_them(tmp_path, kind):
    hostile(kind, tmp_path / "weights.safetensors")
    with mentioning(InputError, tmp_path / "weights.safetensors"):
        weights.check("ResNet18", tmp_path / "weights.safetensors")


def test_pipes_in_folders_of_strangers_do_not_wait(tmp_path):
    for name in ("verification.json", HOLDER, "images.csv.gz"):
        os.mkfifo(tmp_path / name)
    assert was_trained_on(tmp_path / "model.tflite", "pets") is None
    with owned(tmp_path):
        assert (tmp_path / HOLDER).is_file()
    with mentioning(InputError, "images.csv.gz", "pipe"):
        changed_images(tmp_path / "images.csv.gz", None)


def test_a_list_of_images_that_is_a_bomb(tmp_path, few_digits):
    (tmp_path / "images.csv.gz").write_bytes(gzip.compress(bytes(10_000_000)))
    with mentioning(InputError, "images.csv.gz", "times its size"):
        changed_images(tmp_path / "images.csv.gz", few_digits)


def test_a_file_is_as_long_as_it_was_when_it_was_opened(tmp_path):
    path = tmp_path / "text"
    path.write_text("naïve", encoding="utf-8")
    assert read_text(path) == "naïve" and read_bytes(path, 6) == path.read_bytes() and checked_file(path) == path
    with pytest.raises(OSError, match="more than the"):
        read_bytes(path, 5)
    (tmp_path / "empty").touch()
    with pytest.raises(OSError, match="empty"):
        checked_file(tmp_path / "empty")
    with open(path, "wb") as file:
        file.truncate(MAX_TEXT + 1)
    with pytest.raises(OSError, match="17 MB, more than the 17 MB"):
        read_text(path)
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "missing")


def test_a_disk_that_never_answers(tmp_path, monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(user_file, "SECONDS", 0.05)
    monkeypatch.setattr(user_file, "open_file", lambda *_: answer.wait(20))
    with mentioning(InputError, "labels.txt", "within"), refused(f"{tmp_path / 'labels.txt'} cannot be read"):
        checked_file(tmp_path / "labels.txt")
    answer.set()


def aliases(levels):
    """The billion laughs: every line repeats the one before ten times."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 5_000 + "]" * 5_000,
        "\n".join("  " * depth + "a:" for depth in range(2_000)),
        "a: " + "9" * 5_000,
        aliases(30),
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: !!python/object/apply:os.system [ls]",
        "a: \x01",
        "2026-99-99: &",
    ],
    ids=["brackets", "indented", "digits", "laughs", "itself", "its own value", "code", "control", "date"],
)  # fmt: skip
def test_absurd_yaml(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    started = time.perf_counter()
    with mentioning(InputError, path):
        read_yaml(path)
    assert time.perf_counter() - started < 5


def test_aliases_may_repeat_values(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("a: &a [1, 2]\nb: *a\nc: {<<: &d {e: 1}}\n")
    assert read_yaml(path) == {"a": [1, 2], "b": [1, 2], "c": {"e": 1}}
    path.write_text(aliases(5))
    assert len(str(read_yaml(path))) < MOST_VALUES


def test_a_value_that_is_merged_may_be_replaced(tmp_path):
    """PyYAML merges into `c` in place, for `d`, before it reads `c`."""
    path = tmp_path / "recipe.yaml"
    path.write_text("a: &a {x: 0}\nb: {c: &c {<<: *a, x: 1}}\nd: {<<: *c, y: 2}\n")
    assert read_yaml(path)["b"] == {"c": {"x": 1}}


@pytest.mark.parametrize("text", ["epochs" + ".a" * 5_000 + "=1", "epochs=" + "[" * 5_000, "epochs=" + "9" * 5_000])
def test_absurd_assignments(text):
    with pytest.raises(InputError) as refusal:
        Recipe.from_dict({"model": "resnet20"} | assignments([text]), "--set")
    assert len(str(refusal.value)) < 700


def safetensors(header):
    packed = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + bytes(64)


@pytest.mark.parametrize(
    "contents",
    [
        safetensors({"a": {"dtype": "F8_E4M3", "shape": [64], "data_offsets": [0, 64]}}),
        safetensors({"a": {"dtype": "F8_E8M0", "shape": [64], "data_offsets": [0, 64]}}),
        safetensors({"a": {"dtype": "F32", "shape": [10**62], "data_offsets": [0, 64]}}),
        safetensors({"a": {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 64]}}),
        safetensors(b'{"a":' * 5_000),
        struct.pack("<Q", 2**63) + b"{}",
        b"",
    ],
    ids=["float8", "exponents", "10^62", "overflow", "deep", "long header", "empty"],
)
def test_absurd_tensors(tmp_path, contents):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(contents)
    with mentioning(InputError, path):
        read_tensors(path)


def test_hdf5_that_declares_more_than_the_memory(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["conv1"]
        layer = file.create_group("conv1")
        layer.attrs["weight_names"] = ["kernel"]
        layer.create_dataset("kernel", (10**13,), "float32", chunks=(1 << 20,))
    with mentioning(InputError, path, "40,000.0 GB"):
        weights.read(path)


def test_free_memory_heeds_the_limits_of_the_shell():
    program = "from kerascnn.files.memory import *; print(free_memory()); require_memory(1 << 40)"
    limited = ["bash", "-c", 'ulimit -v 4000000; exec "$@"', "-", sys.executable, "-c", program]
    ended = subprocess.run(limited, capture_output=True, text=True, timeout=60)
    assert 0 < int(ended.stdout) < 4_096_000_000 and "MemoryError: it needs 1,099.5 GB" in ended.stderr
    assert memory.free_memory() > 0


def test_files_that_a_container_has_read_are_free_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    facts = "anon 1000\nfile 7000\nactive_file 3000\ninactive_file 4000\n"
    for name, text in {"max": "10000\n", "current": "9999\n", "stat": facts}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert memory.free_memory() == 7001
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free_memory() > 10_000


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device"), ("the output", "full")),
        (OSError(28, "No space left on device", "runs/a"), ("runs/a", "full")),
        (RuntimeError("UNKNOWN: x.pb; No space left on device"), ("full",)),
        (OSError(36, "File name too long", "n" * 300), ("too long",)),
        (PermissionError(13, "Permission denied", "photos/a"), ("photos/a", "permission")),
        (MemoryError(), ("memory",)),
        (ImportError("libtensorflow.so: failed to map segment from shared object"), ("memory",)),
        (RuntimeError("can't start new thread"), ("memory",)),
    ],
)
def test_errors_of_the_machine_are_sentences(error, words):
    assert all(word in machine_error(error) for word in words)


def test_faults_of_the_program_are_no_errors_of_the_machine():
    assert machine_error(ValueError("x")) is None and machine_error(OSError("x")) is None


def run(*arguments, **options):
    command = [sys.executable, "-m", "kerascnn", *map(str, arguments)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60, **options)


def test_a_full_disk_behind_the_output_is_one_sentence():
    for arguments in (["recipes"], ["--help"], ["recipes", "--json"]):
        with open("/dev/full", "w") as full:
            ended = run(*arguments, stdout=full)
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
        assert "the output cannot be written: the disk is full" in ended.stderr


@pytest.mark.slow
def test_debug_shows_where_an_error_is_from(tmp_path):
    path = tmp_path / "absurd.yaml"
    path.write_text("[" * 5_000)
    arguments = ["train", "--recipe", path, "--data", "digits"]
    plain, *debugged = (
        run(*arguments),
        run(*arguments, "--debug"),
        run("--debug", *arguments),
        run(*arguments, env={**os.environ, "KERASCNN_DEBUG": "1"}),
    )
    assert (plain.returncode, plain.stderr.count("\n")) == (2, 1)
    for ended in debugged:
        assert ended.returncode == 2 and "RecursionError" in ended.stderr
        assert ended.stderr.splitlines()[-1] == plain.stderr.strip()


WAITING = """
import os, threading, time
from kerascnn import cli
cli.PATIENCE = 0.2
def wait(*_):
    threading.Thread(target=time.sleep, args=[60]).start()
    raise KeyboardInterrupt
cli._run = wait
cli.program()
"""


def test_a_program_without_memory_for_a_thread_ends_in_its_sentence():
    program = (
        "import threading\n"
        "from kerascnn import cli\n"
        'def start(thread): raise RuntimeError("can\'t start new thread")\n'
        "threading.Thread.start = start\n"
        "cli._run = lambda arguments: threading.Thread().start()\n"
        "cli.program()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, timeout=30)
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1 and "too little memory" in ended.stderr


def test_a_stopped_program_ends_although_a_thread_waits_for_a_disk():
    started = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", WAITING], stderr=subprocess.PIPE, text=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (130, "kerascnn: stopped.\n") and time.monotonic() - started < 15


def test_labels_are_text(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes(io.BytesIO(b"\xff\xfe\xff").getvalue())
    with mentioning(InputError, path):
        read_labels(path)
