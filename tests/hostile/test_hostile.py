"""Some hostile inputs of every kind; `python -m tests.hostile` tries many."""

import itertools
import random
import subprocess
import sys
from pathlib import Path

import pytest

from kerascnn import InputError
from tests.hostile import attack as attacks
from tests.hostile.attack import Kind, attack, attack_many
from tests.hostile.guided import BytesChance
from tests.hostile.kinds import KINDS, kind

# As many as a second or two allow.
COUNT = {
    "archives": 150,
    "images": 60,
    "recipes": 60,
    "runs' recipe.yaml": 60,
    "URLs": 300,
    "Keras models": 60,
    "SavedModels": 40,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_every_input_is_held(name, tmp_path):
    failures = attack_many(kind(name), range(COUNT.get(name, 100)), tmp_path)
    assert failures == {}, f"python -m tests.hostile --kind {name!r} --seed SEED"


def raising(error):
    def read(folder, given):
        raise error

    return Kind(lambda chance: chance.random(), read)


def test_what_counts_as_held(tmp_path, monkeypatch):
    assert attack(raising(InputError("the file is damaged.")), random.Random(0), tmp_path)[1] is None
    # What was handed in is shown without control characters, and not at any length.
    assert attack(raising(InputError("two\nlines, \x1b[2J" + "a" * 100_000)), random.Random(0), tmp_path)[1] is None
    for sentence in ("two\nlines", "an \x1b[2J escape", "a" * 100_000, " "):
        assert attacks.fault_of(sentence)
    for error in (ValueError("x"), KeyError(), RecursionError(), MemoryError(), SystemExit(1)):
        assert attack(raising(error), random.Random(0), tmp_path)[1]
    writes = Kind(lambda chance: "", lambda folder, given: (folder / ".." / "outside").write_text(""))
    assert "outside" in attack(writes, random.Random(0), tmp_path)[1]
    monkeypatch.setattr(attacks, "LONGEST", 0.0)
    assert "took" in attack(Kind(lambda chance: "", lambda folder, given: None), random.Random(0), tmp_path)[1]
    monkeypatch.setattr(attacks, "HANG", 1)

    def endless(folder, given):
        for _ in itertools.count():
            pass

    assert "hangs" in attack(Kind(lambda chance: "", endless), random.Random(0), tmp_path)[1]


@pytest.mark.slow
def test_long_runs_print_a_table():
    command = [sys.executable, "-m", "tests.hostile", "--kind", "manifests", "--seconds", "1"]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    *_, row = ended.stdout.splitlines()
    kind, tried, held = (cell.strip() for cell in row.split("|")[1:4])
    assert kind == "manifests" and int(tried.replace(",", "")) > 10 and tried == held, ended.stderr


def test_bytes_decide_what_is_drawn():
    first, same, other = (BytesChance(content) for content in (b"ab" * 40, b"ab" * 40, b"cd" * 40))
    assert [first.random() for _ in range(9)] == [same.random() for _ in range(9)]
    assert first.choice(range(10_000)) == same.choice(range(10_000)) != other.choice(range(10_000))
    # The first bytes are drawn first, and after the last one draws go on.
    assert BytesChance(b"\x80").getrandbits(1) == 1 and BytesChance(b"\x7f").getrandbits(1) == 0
    assert len({BytesChance(b"").randbytes(8), BytesChance(b"a").randbytes(8)}) == 2
