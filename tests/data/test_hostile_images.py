"""Images made to stop or exhaust whoever reads them: each costs its own verdict, and the others nothing."""

import functools
import io
import os
import random
import signal
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from kerascnn.data.ingestion import image_readers, unchecked_images
from kerascnn.data.ingestion.image_bounds import MAX_PIXELS, MAX_SCANS, excessive_scans
from kerascnn.data.ingestion.image_check import check_image, check_images
from kerascnn.data.ingestion.image_formats import UnreadableImageError, decode_image, read_image
from kerascnn.data.ingestion.unchecked_images import decode_unchecked
from kerascnn.errors import InputError
from kerascnn.evaluation.image_inputs import images_of
from kerascnn.evaluation.prediction import read_images
from support.messages import mentioning
from support.processes import state_of


def chunk(name, body=b""):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width, height, *chunks, depth=8, color=2):
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunks) + chunk(b"IEND")


def many_scans(scans, size=(64, 48)):
    """A progressive JPEG whose last scan, which refines it, comes again and again."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = whole.rindex(b"\xff\xda\0")
    return whole[:last] + whole[last:-2] * scans + b"\xff\xd9"


def slow(pixels=9_000):
    """A QOI image of repeated pixels, ten at a time, which Pillow decodes in Python: 2 seconds on an AMD EPYC."""
    head = b"qoif" + struct.pack(">IIBB", pixels, pixels, 3, 0)
    return head + b"\xc9" * (pixels * pixels // 10 + 1) + bytes(7) + b"\1"


def blank(width, height, depth=8, color=2):
    """A PNG of zeros, a thousandth of its pixels."""
    packer = zlib.compressobj(1)
    row = bytes(1 + width * {0: 1, 2: 3, 6: 4}[color] * depth // 8)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png(width, height, chunk(b"IDAT", body), depth=depth, color=color)


COSTLY = {
    "palette": (png(2, 2, chunk(b"IDAT", zlib.compress(bytes(6))), color=3), ""),
    "scans": (many_scans(2_000), "scans"),
    "chunks": (png(2, 2, chunk(b"abCd") * 2_000_000, chunk(b"IDAT", zlib.compress(bytes(14)))), "chunks"),
    "pixels": (png(13_000, 13_000, chunk(b"IDAT", zlib.compress(bytes(10**6)))), "169 million pixels"),
    "bomb": (png(60_000, 60_000, chunk(b"IDAT", zlib.compress(bytes(10**6)))), "bomb"),
    "no size": (png(0, 0, chunk(b"IDAT")), ""),
    "sizes": (png(2**31, 2**31), ""),
}


@pytest.mark.parametrize("name", COSTLY)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_costly_files_are_refused_at_once(tmp_path, name):
    contents, reason = COSTLY[name]
    (tmp_path / "1.jpg").write_bytes(contents)
    started = time.perf_counter()
    entry = check_image(tmp_path, "1.jpg")
    assert entry.status == "unreadable" and reason in entry.reason and len(entry.sha256) == 64
    with mentioning(InputError, tmp_path / "1.jpg", entry.reason.rstrip(".")):
        read_image(tmp_path / "1.jpg")
    assert time.perf_counter() - started < 5


def test_images_that_are_only_large_or_thorough_are_read(tmp_path):
    for name, contents in {
        "scans": many_scans(20),
        "panorama": blank(MAX_PIXELS >> 5, 16, color=0),
        "chunks": png(2, 2, chunk(b"tEXt", b"a\0b") * 500, chunk(b"IDAT", zlib.compress(bytes(14)))),
    }.items():
        (tmp_path / name).write_bytes(contents)
        assert check_image(tmp_path, name).status == "read"
    assert not excessive_scans(many_scans(MAX_SCANS - 20), 1000) and excessive_scans(many_scans(90), MAX_PIXELS)
    # A film behind an image, as phones append it, may hold any bytes.
    (tmp_path / "moving.jpg").write_bytes(many_scans(1) + b"\xff\xda\0\x0c" * 3_000 + random.Random(0).randbytes(10**5))
    assert check_image(tmp_path, "moving.jpg").status == "read"


def good(folder, count):
    for number in range(count):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number:03}.png")
    return [f"{number:03}.png" for number in range(count)]


@pytest.fixture
def limits(monkeypatch):
    """Sets the limits of new processes."""

    def limit(**values):
        for name, value in values.items():
            monkeypatch.setattr(image_readers, name, value)

    # Those of other tests have other limits.
    monkeypatch.setattr(image_readers.Readers, "_idle", [])
    return limit


def test_a_decoder_that_takes_too_long_costs_its_file_only(tmp_path, limits):
    limits(SECONDS=0.4)
    paths = good(tmp_path, 20)
    (tmp_path / "slow.qoi").write_bytes(slow())
    entries = list(check_images(tmp_path, [*paths[:10], "slow.qoi", *paths[10:]]))
    assert [entry.path for entry in entries if entry.status != "read"] == ["slow.qoi"]
    assert "takes more than" in entries[10].reason and len(entries[10].sha256) == 64
    # Known by its contents, it is not tried again.
    assert list(check_images(tmp_path, ["slow.qoi"], lambda path: entries[10])) == [entries[10]]


def test_a_decoder_is_stopped_whatever_the_program_does(tmp_path, limits):
    good(tmp_path, 1)
    # Leaves a process of the usual limits; and processes inherit signals that are ignored and blocked.
    [entry] = check_images(tmp_path, ["000.png"])
    assert entry.status == "read" and image_readers.Readers._idle
    limits(SECONDS=0.4)
    (tmp_path / "slow.qoi").write_bytes(slow())
    before = signal.signal(signal.SIGPROF, signal.SIG_IGN), signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF])
    try:
        [entry] = check_images(tmp_path, ["slow.qoi"])
    finally:
        signal.signal(signal.SIGPROF, before[0])
        signal.pthread_sigmask(signal.SIG_SETMASK, before[1])
    assert "takes more than" in entry.reason


def test_images_that_nobody_has_checked_have_the_same_limits(tmp_path, limits, monkeypatch):
    paths = [tmp_path / name for name in ("large.png", *good(tmp_path, 2))]
    paths[0].write_bytes(blank(5_000, 5_000))
    limits(MEMORY=100 << 20)
    skipped = []
    assert [image.path for image in read_images(paths, skipped.append)] == paths[1:]
    [refusal] = map(str, skipped)
    assert str(paths[0]) in refusal and "memory" in refusal
    monkeypatch.setattr(unchecked_images, "MAX_FILE_SIZE", 99)
    with mentioning(InputError, "bytes 1", "too large"):
        list(images_of(bytes(100)))
    monkeypatch.undo()
    limits(SECONDS=0.4, MEMORY=3 << 29)
    with mentioning(InputError, "bytes 1", "takes more than"):
        list(images_of(slow()))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"])
def test_images_that_nobody_has_checked_are_the_same_images(form):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 4), np.uint8)
    Image.fromarray(noise).convert("RGB" if form == "JPEG" else "RGBA").save(buffer, form)
    contents = buffer.getvalue()
    np.testing.assert_array_equal(decode_unchecked(contents), decode_image(contents))
    for damaged in (contents[:-30], contents[:3], b""):
        refusals = []
        for decode in (decode_unchecked, decode_image):
            with pytest.raises(UnreadableImageError) as refusal:
                decode(damaged)
            refusals.append(str(refusal.value))
        assert refusals[0] == refusals[1]


def test_a_decoder_that_takes_too_much_memory_costs_its_file_only(tmp_path, limits):
    limits(MEMORY=100 << 20)
    paths = good(tmp_path, 3)
    (tmp_path / "large.png").write_bytes(blank(5_000, 5_000))
    entries = list(check_images(tmp_path, [*paths, "large.png"]))
    assert [entry.status for entry in entries] == ["read"] * 3 + ["unreadable"]
    assert "memory" in entries[3].reason
    assert check_image(tmp_path, "large.png").status == "read"


def test_a_decoder_that_crashes_costs_its_file_only(tmp_path, limits, monkeypatch):
    """A library of this name is imported by the processes before Pillow's; it ends them as an error in C does."""
    (tmp_path / "pillow_heif.py").write_text(
        "import os, PIL.Image\n"
        "def register_heif_opener(**options):\n"
        "    PIL.Image.register_open('HEIF', None, lambda head: head.startswith(b'crash') and os.abort())\n"
    )
    limits()
    monkeypatch.syspath_prepend(tmp_path)
    paths = good(tmp_path, 5)
    (tmp_path / "crash.jpg").write_bytes(b"crash")
    entries = list(check_images(tmp_path, ["crash.jpg", *paths]))
    assert [entry.status for entry in entries] == ["unreadable"] + ["read"] * 5
    assert "SIGABRT" in entries[0].reason and len(entries[0].sha256) == 64


def processes(parent):
    """The readers that a process has started."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in listed.splitlines()[1:])
    return [int(pid) for pid, above, program in rows if int(above) == parent and "image_readers" in program]


def test_a_killed_process_costs_nothing(tmp_path, limits):
    limits()
    paths = good(tmp_path, 200)

    def killing(items, total, description):
        for number, item in enumerate(items):
            if number in (0, 50, 120):
                for pid in processes(os.getpid()):
                    os.kill(pid, signal.SIGKILL)
            yield item

    entries = list(check_images(tmp_path, paths, track=killing))
    assert [(entry.path, entry.status) for entry in entries] == [(path, "read") for path in paths]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_check_can_be_stopped_while_it_decodes(tmp_path, stop):
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        for number in range(4):
            (tmp_path / kind / f"{number}.qoi").write_bytes(slow())
    environment = os.environ | {"KERASCNN_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "kerascnn", "ingest", tmp_path]
    # A shell that starts the tests in the background has them ignore Ctrl-C.
    heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, env=environment, preexec_fn=heeding) as ingest:
        deadline = time.monotonic() + 30
        while not (readers := processes(ingest.pid)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert readers
        time.sleep(1)
        started = time.monotonic()
        ingest.send_signal(stop)
        _, errors = ingest.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert "Traceback" not in errors and ("stopped" in errors) == (stop != signal.SIGKILL)
    # Those of a killed program end with their file; of others what is left waits to be read by the first process.
    if stop != signal.SIGKILL:
        assert {state_of(pid) for pid in readers} <= {"gone", "Z"}
    for pid in readers:
        if os.path.exists(f"/proc/{pid}"):
            os.kill(pid, signal.SIGKILL)
