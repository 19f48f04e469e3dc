"""The standard error of a process, seen from outside."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from kerascnn import data

DAMAGE = b"Corrupt JPEG data: 54 extraneous bytes before marker 0xd9"


def errors_of(program, status=0):
    """The standard error of a program."""
    lines = [
        "import os, sys",
        "from kerascnn.native_output import jpeg_damage_discarded",
        "native = lambda text: os.write(2, text)",
        program,
    ]
    ended = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, timeout=60)
    assert ended.returncode == status, ended.stderr
    return ended.stderr.decode()


def test_only_damage_is_discarded():
    stderr = errors_of(f"""
with jpeg_damage_discarded():
    native({DAMAGE!r} + b"\\nfrom a library\\nInvalid SOS parameters for sequential JPEG\\n")
    print("from Python", file=sys.stderr)
    os.system("echo from a child >&2")
native({DAMAGE!r} + b" afterwards")
""")
    assert set(stderr.splitlines()) == {
        "from a library",
        "from Python",
        "from a child",
        f"{DAMAGE.decode()} afterwards",
    }


def test_split_lines_are_joined_and_questions_are_shown():
    stderr = errors_of(f"""
with jpeg_damage_discarded():
    import time
    native(b"Go on? ")
    time.sleep(0.2)
    native(b"\\n" + {DAMAGE[:40]!r})
    time.sleep(0.2)
    native({DAMAGE[40:]!r} + b"\\nend")
""")
    assert stderr == "Go on? \nend"


def test_an_exception_is_printed():
    stderr = errors_of("with jpeg_damage_discarded():\n    raise ValueError('a mistake')", status=1)
    assert stderr.endswith("ValueError: a mistake\n") and "Traceback" in stderr


@pytest.mark.skipif(sys.platform == "win32", reason="ends by a signal")
def test_the_last_words_of_a_crash_are_printed():
    stderr = errors_of("with jpeg_damage_discarded():\n    native(b'last words\\n')\n    os.abort()", status=-6)
    assert stderr == "last words\n"


def test_checking_damaged_files_prints_nothing(tmp_path, capfd):
    """The decoder warns about each of these; the files' statuses hold the warnings."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8))
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for number in range(4):
            noise.save(tmp_path / kind / f"{number}.jpg")
    whole = (tmp_path / "a" / "0.jpg").read_bytes()
    (tmp_path / "a" / "tail.jpg").write_bytes(whole[:-2] + b"trailing" + whole[-2:])
    (tmp_path / "a" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a" / "table.jpg").write_bytes(whole.replace(b"\xff\xc4\x00\x1f\x00", b"\xff\xc4\x00\x1f\x77", 1))
    found = data.ingest(tmp_path)
    assert {entry.path for entry in found.with_status("unreadable")} == {"a/cut.jpg", "a/table.jpg"}
    stderr = capfd.readouterr().err
    assert "JPEG" not in stderr and "Bogus" not in stderr
