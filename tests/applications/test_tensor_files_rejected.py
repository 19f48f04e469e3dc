"""Files of tensors that are made up, damaged or hostile: no code in them is run, and memory use is bounded."""

import contextlib
import os
import pickle
import re
import struct
import time
import zipfile

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications.weights import load as weight_files, tensor_pickles
from kerascnn.applications.weights.tensor_files import read_tensors
from support.messages import mentioning, names
from support.torch_files import VALUES, Storage, Tensor, archive, opcodes, pickled, row, tensor

pytestmark = pytest.mark.usefixtures("torch_names")


def rejection(path):
    with pytest.raises(InputError) as rejected:
        read_tensors(path)
    sentence = str(rejected.value)
    assert sentence.startswith(str(path)) and sentence.endswith(".") and sentence.count(". ") == 0
    return sentence


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("write", [archive, row])
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, f"{os.name}.system"), (eval, "__builtin__.eval"), (getattr, "__builtin__.getattr")],
    ids=["system", "eval", "getattr"],
)
def test_no_code_of_a_pickle_is_run(write, function, name, tmp_path):
    left = tmp_path / "left"
    order = f"touch {left}" if function is os.system else f"open({str(left)!r}, 'w')"
    path = write(tmp_path / "evil.pth", {"weight": tensor(), "evil": Call(function, order)})
    # An unrestricted unpickler runs it.
    if write is archive and function is not getattr:
        contents, _ = pickled(Call(function, order))
        pickle.loads(contents)
        assert left.exists()
        left.unlink()
    names(rejection(path), name, "tensors")
    assert not left.exists()


def shaped(offset, shape, strides, **options):
    return {"w": Tensor(Storage("FloatStorage", "0", VALUES, **options), offset, shape, strides)}


@pytest.mark.parametrize("write", [archive, row])
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (shaped(1, (12,), (1,)), r"\(12,\).*beyond the 12 values"),
        (shaped(0, (2, 6), (7, 1)), "beyond the 12"),
        (shaped(1 << 62, (1,), (1,)), "beyond the 12"),
        (shaped(0, (1 << 40, 1 << 40), (0, 0)), "beyond the 12"),
        (shaped(0, (1 << 70,), (0,)), "shape.*strides"),
        (shaped(0, (2,), (-1,)), "shape.*strides"),
        (shaped(-1, (2,), (1,)), "shape.*strides"),
        (shaped(0, (2, 6), (1,)), "shape.*strides"),
        (shaped(0, (1,) * 65, (1,) * 65), "shape.*strides"),
        (shaped(0, (2.0,), (1,)), "not described as PyTorch"),
        (shaped(0, (1 << 40,), (1,), size=1 << 40), "more than the file|not all there"),
        (shaped(0, (1,), (1,), size=-1), "not described as PyTorch"),
        ({"w": Tensor("no storage", 0, (1,), (1,))}, "not described as PyTorch"),
        ({"w": Tensor(Storage("QInt8Storage", "0", VALUES), 0, (1,), (1,))}, r"torch\.QInt8Storage"),
        ({f"w{number}": tensor(np.zeros(10_000, "float32")) for number in range(9)}, "more than the file"),
        ({"epoch": 3}, "dict of tensors"),
        ([tensor()], "dict of tensors"),
        ({(1, 2): tensor()}, "keys"),
    ],
)
def test_tensors_that_cannot_be(write, state, reason, tmp_path):
    assert re.search(reason, rejection(write(tmp_path / "made_up.pth", state)))


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        # A memo index for which the unpickler in C would reserve memory.
        (opcodes("EMPTY_DICT", b"r\xff\xff\xff\x7f"), "dict of tensors"),
        (opcodes(b"\x8e" + struct.pack("<Q", 1 << 60)), "damaged"),
        (opcodes(b"\x8b\xff\xff\xff\x7f"), "damaged"),
        (opcodes(*["MARK"] * 100_000, *["TUPLE"] * 99_999), "dict of tensors"),
        (opcodes("EMPTY_DICT", *["EMPTY_TUPLE", *["TUPLE1"] * 200_000], "NONE", "SETITEM"), "keys"),
        (opcodes(*["EMPTY_LIST"] * 200_000, *["APPEND"] * 199_999), "dict of tensors"),
        (opcodes("EMPTY_DICT", "EMPTY_TUPLE", "REDUCE"), "no function"),
        (opcodes(b"ctorch\nFloatStorage\n", "EMPTY_TUPLE", "REDUCE"), "no function"),
        (opcodes(b"ctorch._utils\n_rebuild_tensor_v2\n", "EMPTY_TUPLE", "NEWOBJ"), "NEWOBJ"),
        (opcodes(b"ccollections\nOrderedDict\n", "EMPTY_DICT", "BUILD"), "state"),
        (opcodes(b"Pname\n"), "PERSID"),
        (opcodes("EMPTY_DICT", "BINPERSID"), "storage"),
        (opcodes("EMPTY_LIST", "EMPTY_LIST", "STACK_GLOBAL"), "damaged"),
        # One long list as the argument of a thousand calls.
        (
            opcodes(
                *(b"X\1\0\0\0a", "NONE", "TUPLE2", b"q\0"),
                *("EMPTY_LIST", b"q\1", "MARK", *[b"h\0"] * 50_000, "APPENDS"),
                *[b"ccollections\nOrderedDict\n", b"h\1", "TUPLE1", "REDUCE"] * 1000,
            ),
            "longer than",
        ),
        (opcodes("REDUCE"), "damaged"),
        (opcodes("EMPTY_DICT", "APPENDS"), "damaged"),
        (opcodes(), "damaged"),
        (opcodes("EMPTY_DICT", end=b""), "damaged"),
        (b"", "damaged"),
    ],
)
def test_pickles_that_are_made_up(contents, reason, tmp_path):
    assert reason in rejection(archive(tmp_path / "made_up.pt", {}, pickle=contents or b"\0"))


def test_a_pickle_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_pickles, "MAX_OPERATIONS", 100)
    path = archive(tmp_path / "long.pt", {}, pickle=opcodes(*["EMPTY_DICT"] * 101))
    assert "longer than" in rejection(path)


def test_archives_that_pytorch_does_not_write(tmp_path):
    state = {"w": tensor(np.zeros(1 << 16, "float32"))}
    packed = archive(tmp_path / "packed.pt", state, compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in rejection(packed)
    other = archive(tmp_path / "big.pt", state, extra=[("byteorder", "big")])
    assert "big-endian" in rejection(other)
    assert "big-endian" in rejection(row(tmp_path / "big.pth", state, little_endian=False))
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as empty:
        empty.writestr("readme.txt", "nothing")
    assert "whole archive" in rejection(tmp_path / "other.pt")
    # Storages of other lengths than announced.
    assert "views" in rejection(row(tmp_path / "row.pth", state, counts=7))


@pytest.mark.parametrize("write", [archive, row])
def test_files_that_are_cut(write, tmp_path):
    path = write(tmp_path / "whole.pth", {"weight": tensor(), "bias": tensor(VALUES[0].copy(), "1")})
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        rejection(path)


@pytest.mark.parametrize("write", [archive, row])
def test_files_with_flipped_bits(write, tmp_path):
    path = write(tmp_path / "whole.pth", {"weight": tensor(), "bias": tensor(VALUES[0].copy(), "1")})
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in generator.integers(0, len(whole), 3):
            damaged[place] ^= 1 << generator.integers(8)
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            assert all(array.size <= 12 for array in read_tensors(path).values())


@pytest.mark.parametrize("content", [b"", b"text\n" * 200, b"\x93NUMPY", b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_other_files(content, tmp_path):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    assert "torch.save" in rejection(path)
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    assert "cannot be read" in rejection(path)


def test_missing_files_and_other_suffixes(tmp_path):
    for name in ("none.pth", "none.safetensors"):
        names(rejection(tmp_path / name), "No such file")
    (tmp_path / "folder.safetensors").mkdir()
    assert "cannot be read" in rejection(tmp_path / "folder.safetensors")
    with mentioning(InputError, "weights.bin", ".safetensors", ".pth", ".pt"):
        read_tensors(tmp_path / "weights.bin")
    tar = tmp_path / "tar.pth"
    tar.write_bytes(bytes(257) + b"ustar" + bytes(300))
    names(rejection(tar), "tar archive", "2017")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".h5"])
def test_enormous_files_are_refused_before_anybody_reads_all_of_them(tmp_path, suffix):
    path = tmp_path / f"sparse{suffix}"
    with open(path, "wb") as file:
        file.truncate(10**12)
    started = time.perf_counter()
    with mentioning(InputError, path):
        weight_files.check("ResNet18", path)
    assert time.perf_counter() - started < 5
