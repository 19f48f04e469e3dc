"""The scripts for a GPU, at sizes that a CPU computes in no time."""

import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu import __main__ as command, cuda_links, parts, tensorflow_check
from benchmarks.gpu.training_step import POLICIES, SIZES, rows
from benchmarks.part import Contestant, Row
from benchmarks.results import read
from support.fake_contestants import counting, unprepared


def wheel(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("package/data.bin", random.Random(0).randbytes(50_000) + bytes(100_000))
        archive.writestr("package/__init__.py", "answer = 42\n")
    return path


def test_a_wheel_goes_through_parts(tmp_path):
    source = wheel(tmp_path / "some-1.0-py3-none-any.whl")
    carried = parts.split(source, tmp_path / "parts", 20_000)
    assert len(carried) == 3 and all(part.stat().st_size <= 20_000 for part in carried)
    joined = parts.join(tmp_path / "parts", tmp_path / "joined")
    assert joined.name == source.name
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(joined) as after:
        assert after.namelist() == before.namelist()
        assert all(after.read(name) == before.read(name) for name in before.namelist())


def test_other_files_go_through_parts_unchanged(tmp_path):
    (tmp_path / "file").write_bytes(random.Random(1).randbytes(5_000))
    parts.split(tmp_path / "file", tmp_path / "parts", 1_000)
    assert parts.join(tmp_path / "parts", tmp_path / "to").read_bytes() == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_damaged_part_is_named(tmp_path, damage):
    part = parts.split(wheel(tmp_path / "w.whl"), tmp_path / "parts", 20_000)[1]
    content = bytearray(part.read_bytes())
    content[7] ^= 1
    part.write_bytes(content) if damage == "flipped" else part.unlink()
    with pytest.raises(ValueError, match="part001 is missing or damaged"):
        parts.join(tmp_path / "parts", tmp_path)


def test_libraries_get_the_names_that_are_looked_for(tmp_path):
    folder = tmp_path / "lib"
    folder.mkdir()
    for name in ("libcudart.so.12", "libcudart.so.13", "libcublas.so.9", "libcublas.so.13.0.2", "libcublasLt.so.13"):
        (folder / name).write_text(name)
    wanted = ("libcudart.so.12", "libcublas.so.12", "libcudnn.so.9")
    found = cuda_links.link(wanted, [folder, tmp_path / "none"], tmp_path / "links")
    assert [path and path.name for path in found.values()] == ["libcudart.so.12", "libcublas.so.13.0.2", None]
    assert (tmp_path / "links" / "libcublas.so.12").read_text() == "libcublas.so.13.0.2"
    # Again, over the links that are there.
    assert cuda_links.link(wanted, [folder], tmp_path / "links") == found


def test_the_computations_are_correct_here_and_a_wrong_one_is_noticed(monkeypatch, capsys):
    import tensorflow as tf

    assert tensorflow_check.matrix_product(tf) < tensorflow_check.TOLERANCE
    assert tensorflow_check.convolution(tf) < tensorflow_check.TOLERANCE
    monkeypatch.setattr(tensorflow_check, "convolution", lambda tf: float(np.float32(0.1)))
    assert tensorflow_check.main() == 1
    assert "convolution: differs by 1.0e-01 from NumPy's, too much" in capsys.readouterr().out


def test_contestants_of_a_network_start_together(tmp_path, monkeypatch):
    def row(name, *contestants):
        return Row(name, "images/s", contestants)

    def one(name, values):
        return Contestant(name, counting, {"name": name, "values": values, "log": str(tmp_path / "log")})

    together = [
        row("a, mixed_bfloat16", one("kerascnn, JAX", [10.0, 30.0]), one("PyTorch, compiled", [5.0, 10.0])),
        row("a, mixed_float16", one("kerascnn, JAX", [4.0, 4.0]), Contestant("PyTorch, compiled", unprepared)),
    ]
    # For the processes of contestants.
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(root), str(root / "tests"))))
    monkeypatch.setattr(command, "rows", lambda *given: [together])
    monkeypatch.setattr("sys.argv", ["gpu", "--rounds", "2", "--results", str(tmp_path / "results.csv")])
    assert command.main() == 1
    lines = read(tmp_path / "results.csv")
    assert [(line.contestant, line.value) for line in lines[:3]] == [
        ("kerascnn, JAX", 20.0),
        ("PyTorch, compiled", 7.5),
        ("kerascnn, JAX", 4.0),
    ]
    assert (lines[1].ratio_least, lines[1].ratio_most) == (2.0, 3.0) and lines[3].failure


def test_nothing_is_started_when_the_time_is_over(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpu", "--seconds", "0", "--results", str(tmp_path / "results.csv")])
    assert command.main() == 1
    assert capsys.readouterr().out.count("skipped, because 0 seconds are over") == 1 + len(SIZES)


def test_every_network_meets_pytorch_in_both_kinds_of_16_bits():
    peaks, *networks = rows(list(SIZES), 128, 30, 8192)
    assert [row.name for row in peaks] == [f"matrix product, {policy}" for policy in POLICIES]
    assert [len(together) for together in networks] == [2] * len(SIZES)
