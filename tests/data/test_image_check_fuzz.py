"""Thousands of corrupted images: each gets a status, in time, and the process lives."""

import json
import random
import subprocess
import sys
import textwrap

import pytest

from tests.hostile.images import originals

# A file may take five seconds; the whole test is far from it.
SECONDS_A_FILE = 5


def mutated(contents: bytes, rng: random.Random) -> bytes:
    """One of five kinds of damage; headers get as much of it as the long rest."""
    data = bytearray(contents)
    position = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(min(len(data), 256))
    match rng.randrange(5):
        case 0:
            return bytes(data[:position])
        case 1:
            for _ in range(rng.choice((1, 4, 40))):
                data[min(len(data) - 1, position + rng.randrange(64))] = rng.choice(
                    (0, 1, 127, 128, 255, rng.randrange(256))
                )
        case 2:
            del data[position : position + rng.randrange(1, 100)]
        case 3:
            data[position:position] = bytes(data[: rng.randrange(1, 200)])
        case 4:
            data[position : position + 4] = rng.choice(
                (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\xff\xff")
            )
    return bytes(data)


def program(folder) -> str:
    return textwrap.dedent(
        f"""
        import faulthandler, json
        from pathlib import Path
        faulthandler.dump_traceback_later(280, exit=True)
        from kerascnn.data.ingestion import image_check, image_readers

        image_readers.SECONDS = {SECONDS_A_FILE}
        root = Path({str(folder)!r})
        paths = sorted(path.name for path in root.iterdir())
        entries = list(image_check.check_images(root, paths))
        assert [entry.path for entry in entries] == paths
        print(json.dumps({{entry.path: [entry.status, entry.reason] for entry in entries}}))
        """
    )


def statuses(folder) -> dict[str, list]:
    """Checks a folder in a process of its own, so that TensorFlow's decoder is seen to crash it."""
    ended = subprocess.run([sys.executable, "-c", program(folder)], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout.splitlines()[-1])


COUNT = 2100


@pytest.mark.slow
def test_corrupted_images(tmp_path):
    rng = random.Random(0)
    sources = originals()
    assert len(sources) > 40
    for number in range(COUNT):
        (tmp_path / f"{number:05}.jpg").write_bytes(mutated(sources[number % len(sources)], rng))
    found = statuses(tmp_path)
    assert len(found) == COUNT
    assert all((status == "read") == (reason is None) for status, reason in found.values())
    assert {status for status, _ in found.values()} == {"read", "unreadable"}
    assert all(reason is None or (0 < len(reason) < 300 and "\n" not in reason) for _, reason in found.values())
    # Neither slow nor killed.
    assert not any(reason and ("takes more than" in reason or "crashes" in reason) for _, reason in found.values())
