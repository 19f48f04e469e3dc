"""Files of tensors: read as they were written, and nothing else is read from them; nor run, that is in them."""

import base64
import contextlib
import io
import os
import pickle
import pickletools
import struct
import sys
import types
import zipfile
import zlib
from collections import OrderedDict

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import tensor_files, tensor_pickles
from kerascnn.applications.tensor_files import read_tensors, write_safetensors

VALUES = np.arange(12, dtype="float32").reshape(2, 6)
BFLOAT16 = np.array([0x3F80, 0xC000], "uint16")  # 1 and -2: the upper halves of their float32


# A state dict that PyTorch 2.13 has saved, in both forms, packed to be short: (weight of two axes exchanged, bfloat16
# bias, statistics and counter of a batch normalization).
SAVED = {
    "zip": (
        "c-pO%%WvC85XM)OOiOegcIvdsqj{&5+eGF=vZbJo6QbaSL1HTjK;%MD6e|*;sSLStoS+6=1TN59Peo7tH_}@J^w4t-y%k7+o_gx7=k6{kn"
        "Uvy3+!CM`Snc<l+1+o3D|)_wP_c-{9s!ln#(c-ZR`tnaUsGq%qjx-8oNf1f-?6dR3nJlO*l|Lq^QC8F0nl6vautKJ#p+YX>$(^?8}~xnt("
        "tx8`H^6TPP^~<9TPi2)C<jZS%7?{VoVZEL{?f|2MV!7(EOf-@5hq@Oc*)J1>VS$(SFj0NxgufxT+(a)46Y<r03`$eCN_UrZ607!BK-}$+S"
        "Hyf@3a;<PPX6!%GXp0LNJX38vjiox?E0z}s*_&uzm8F?1Hg$rgNQ9AnV19|T^|HP;*~fRAFh8>cBlIi{RSD5ojqOiVe8;o}yZGmd5`>sAQ"
        "oGY|zX#E^>#<PwEkjv-etTy4Q8#z_VV`fFy}!nW%~CJrt8vD1N1Guyq>3%bLtRv5nqbA+G6@EPIH&Bff$F<fiG_5LPQjS^Wzc84u$3YcgA"
        "ixq>K1*A=o*{!WRVMMF|ik^#-E2?cm-Bolh>PPMBiauF<u<^yO5=Rb~yeqpJa0X2i16IH4g=-cz6RxHn$@oyByqACf@q&h;@9w-=v_yG{t"
        "xU`Jy1|+gU`=hl)7l4m7HTws<)`o$*$d+KOkfI4kObP#u+yVuqNzFb$oDYz9m?2V`tuZZC%-47hzdzn&WoB#XI?GSAB1k*LTKwICB6RTpE"
        "J{Ba(W-qjR8s0)P+MH!PYW*MPuG5-Q6I8P+^~#{2->RsT_$p_=hsQH<z3uTeUYs9WWG4y?OYnV-GpAW%|<i->>q&zgPU){}KOv_g_M{N&I"
        "0sEd93x6oEPBr|!f3{aZ#2T0m^;krR5Pf}UHn@0(snQ)`DxL=@|FsVPd0x+058y(um>7A1vD%1uQSWvS6zRGJM@rdfXd+XcTu@~E&Za~!*"
        "kB+qn95ymp#`Hqe1(ye1AqxptI<Lzfuo-X{^jQn*hAL}-wgml?YWeBZ2O1FzqVY<q*m-Ry)4SU3>DqW{p)!QAFG^$EFGpl+~7^>t^Rl1(C"
        "svmb$%E4omCx)up*lDC3T*}5`s$K3cZK-lbc7jK{ntes*`D@9#bNTD32A>@_xp@4U9~3!HKar@OWEg+1Ciqx0#n#7b{{^`3?ez"
    ),
    "row": (
        "c-nQ6+iuf95QgoIleC7Gawt$vEoX;=apLB5Lo0-OV~*iwZ;<8KtJvV$8Sgp>q)53b0-k{f;4%6-JOUCIjO{cfC|LH|J3I4#<C&R|Z)*7a`"
        "`)jucRyZj=o9k%X9?FaNE%&}Bx#t$B6j1@9<hW6aRf3t&=ouh10h0Yv&aja2*?+zqEUPtGMfjV7>Cjr6pfbA$o)7GP__sy;Vy^-R4j!mnM"
        "NE9plT^;icA+VA#(*%xcV~jSi-!gfh$yyYCVuOx`Yvi{(%JpUjT7MoVdPjry>ZsYA39p2BBvQ7V$W-M-3H9nntS`A3dD`1EmO2_rll_Zwj"
        "LdWx9$!U9;0R>z!7+Wi%TdsN|`-!!*n8g@C2kmSho&e1>I9&R*(QKg;TbfRjB~p_M$fe&BFe^^xlzv7Y3xdTWL|HHT}O&AQowHNR>R#GKA"
        "C2XMxc58!NpI45Ae2j}xJLr>Bu3Zj9%&#>qh3Y7oXFEsG(w#{w>E>1N!rka;B&C7-66#-X!a4qlSvF6B0VDo>HO=BCjrjpmEk~cERn}y^p"
        "0k?Z_hpy+6QMzyU9pU<n+aht?_soO4bA@?^t)CS|o9{s#VFuKYCL`@0(rUGWa$mrM9z0CPpwndx!8!=XbA$tr@^eF@XqBKohDP4|qp>wDn"
        "NvB-4YtS7^i7NKl=pG$-e#k|peOR8oXDbKDJ?3$vZ#P%rW2{SCOguhEX`la?CWqRTO?_B7d;=7fBcU3sDjTQp8f9P"
    ),
}


class Storage:
    """What a tensor of these tests lies in: PyTorch's name of its type, a key, and bytes."""

    def __init__(self, kind, key, array, size=None, location="cpu"):
        self.kind, self.key, self.bytes = kind, key, array.tobytes()
        self.size = array.size if size is None else size
        self.location = location


class Tensor:
    def __init__(self, storage, offset, shape, strides, version=2):
        self.storage, self.place, self.version = storage, (offset, shape, strides), version

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]
        if self.version == 1:
            return rebuild._rebuild_tensor, (self.storage, *self.place)
        return rebuild._rebuild_tensor_v2, (self.storage, *self.place, False, OrderedDict())


class Parameter:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_parameter, (self.tensor, True, OrderedDict())


@pytest.fixture(autouse=True)
def torch(monkeypatch):
    """Modules with PyTorch's names in them, which is all that pickling needs."""
    module, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "QInt8Storage"):
        setattr(module, name, type(name, (), {"__module__": "torch"}))
    for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_qtensor"):
        function = types.FunctionType((lambda *a: None).__code__, {}, name)
        function.__module__, function.__qualname__ = "torch._utils", name
        setattr(utils, name, function)
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return module


class Pickler(pickle._Pickler):
    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        self.storages = getattr(self, "storages", {})
        self.storages[value.key] = value
        kind = getattr(sys.modules["torch"], value.kind)
        return ("storage", kind, value.key, value.location, value.size)


def pickled(value, protocol=2):
    buffer = io.BytesIO()
    pickler = Pickler(buffer, protocol)
    pickler.dump(value)
    return buffer.getvalue(), getattr(pickler, "storages", {})


def archive(path, value, *, protocol=2, compression=zipfile.ZIP_STORED, extra=(), pickle=None):
    """What torch.save writes since 1.6."""
    contents, storages = pickled(value, protocol)
    with zipfile.ZipFile(path, "w", compression) as packed:
        packed.writestr("archive/data.pkl", pickle or contents)
        for name, content in {"byteorder": "little", **dict(extra)}.items():
            packed.writestr(f"archive/{name}", content)
        for storage in storages.values():
            packed.writestr(f"archive/data/{storage.key}", storage.bytes)
        packed.writestr("archive/version", "3\n")
    return path


def row(path, value, *, little_endian=True, counts=None):
    """What torch.save wrote before."""
    contents, storages = pickled(value)
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"int": 4}}
    heads = [pickle.dumps(head, 2) for head in (0x1950A86A20F9469CFC6C, 1001, system)]
    bodies = [struct.pack("<q", counts or one.size) + one.bytes for one in storages.values()]
    path.write_bytes(b"".join([*heads, contents, pickle.dumps([*storages], 2), *bodies]))
    return path


def tensor(array=VALUES, key="0", kind="FloatStorage", **options):
    strides = [stride // array.itemsize for stride in array.strides]
    return Tensor(Storage(kind, key, array), 0, array.shape, tuple(strides), **options)


@pytest.mark.parametrize("write", [archive, row])
def test_tensors_as_they_were_written(write, tmp_path):
    shared = Storage("FloatStorage", "1", VALUES)
    state = OrderedDict(
        weight=tensor(),
        # Views of one storage: the second half, and both halves side by side.
        half=Tensor(shared, 6, (6,), (1,)),
        turned=Tensor(shared, 0, (6, 2), (1, 6)),
        old=tensor(VALUES[0].copy(), "2", version=1),
        parameter=Parameter(tensor(VALUES[1].copy(), "3")),
        counter=tensor(np.array(7), "4", "LongStorage"),
        empty=Tensor(Storage("FloatStorage", "5", VALUES[:0]), 0, (0, 3), (3, 1)),
        brain=tensor(BFLOAT16, "6", "BFloat16Storage"),
        small=tensor(np.array([0.5, 65504], "float16"), "7", "HalfStorage"),
    )
    # The versions of its modules, which PyTorch hangs on to a state dict.
    state._metadata = OrderedDict({"": {"version": 1}})
    read = read_tensors(write(tmp_path / "state.pth", state))
    assert list(read) == list(state)
    expected = {
        "weight": VALUES,
        "half": [6, 7, 8, 9, 10, 11],
        "turned": VALUES.T,
        "old": VALUES[0],
        "parameter": VALUES[1],
        "counter": 7,
        "empty": np.zeros((0, 3)),
        "brain": [1, -2],
        "small": [0.5, 65504],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(read[name], values)
        assert read[name].dtype == ("int64" if name == "counter" else "float32")


def test_what_pytorch_itself_writes(tmp_path, monkeypatch):
    for name in ("torch", "torch._utils"):
        monkeypatch.delitem(sys.modules, name)
    torch = pytest.importorskip("torch")
    convolution = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    model = torch.nn.Sequential(convolution, torch.nn.BatchNorm2d(4)).to(torch.bfloat16)
    state = model.state_dict()
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pt"
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9).state_dict()
        torch.save(
            {"state_dict": state, "epoch": 3, "optimizer": optimizer}, path, _use_new_zipfile_serialization=zipped
        )
        read = read_tensors(path)
        assert read.keys() == state.keys()
        for name, expected in state.items():
            np.testing.assert_array_equal(read[name], expected.float().numpy())


@pytest.mark.parametrize("form", SAVED)
def test_what_pytorch_has_written(form, tmp_path):
    path = tmp_path / "saved.pth"
    path.write_bytes(zlib.decompress(base64.b85decode(SAVED[form])))
    read = read_tensors(path)
    assert {name: array.tolist() for name, array in read.items()} == {
        "0.weight": [[1.5, 3], [-2, 0.25]],
        "0.bias": [1, -2],
        "0.running_mean": [0, 0],
        "0.running_var": [1, 1],
        "0.num_batches_tracked": 0,
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol(protocol, tmp_path):
    np.testing.assert_array_equal(
        read_tensors(archive(tmp_path / "a.pt", {"w": tensor()}, protocol=protocol))["w"], VALUES
    )


@pytest.mark.parametrize(
    "around",
    [
        lambda state: {"epoch": 3, "state_dict": state},
        lambda state: {"model": state, "best": 0.5, "args": {"lr": 0.1}},
        lambda state: {f"module.{name}": one for name, one in state.items()},
        lambda state: {"state_dict": {f"module.{name}": one for name, one in state.items()}},
    ],
    ids=["state_dict", "model", "parallel", "both"],
)
def test_checkpoints(around, tmp_path):
    state = {"conv1.weight": tensor(), "module_list.bias": tensor(VALUES[0].copy(), "1")}
    assert list(read_tensors(archive(tmp_path / "a.pth", around(state)))) == list(state)


def test_a_prefix_that_not_all_have_stays(tmp_path):
    state = {"module.weight": tensor(), "bias": tensor(VALUES[0].copy(), "1")}
    assert list(read_tensors(archive(tmp_path / "a.pth", state))) == list(state)


def refusal(path):
    with pytest.raises(InputError) as refused:
        read_tensors(path)
    sentence = str(refused.value)
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
def test_nothing_of_a_pickle_is_run(write, function, name, tmp_path):
    left = tmp_path / "left"
    order = f"touch {left}" if function is os.system else f"open({str(left)!r}, 'w')"
    path = write(tmp_path / "evil.pth", {"weight": tensor(), "evil": Call(function, order)})
    # Python's own would have done it.
    if write is archive and function is not getattr:
        contents, _ = pickled(Call(function, order))
        pickle.loads(contents)
        assert left.exists()
        left.unlink()
    assert f"its pickle asks for {name}, and only tensors are read" in refusal(path)
    assert not left.exists()


def shaped(offset, shape, strides, **options):
    return {"w": Tensor(Storage("FloatStorage", "0", VALUES, **options), offset, shape, strides)}


@pytest.mark.parametrize("write", [archive, row])
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (shaped(1, (12,), (1,)), "shape (12,) reaches beyond the 12 values stored"),
        (shaped(0, (2, 6), (7, 1)), "reaches beyond the 12"),
        (shaped(1 << 62, (1,), (1,)), "reaches beyond the 12"),
        (shaped(0, (1 << 40, 1 << 40), (0, 0)), "reaches beyond the 12"),
        (shaped(0, (1 << 70,), (0,)), "which cannot be"),
        (shaped(0, (2,), (-1,)), "which cannot be"),
        (shaped(-1, (2,), (1,)), "which cannot be"),
        (shaped(0, (2, 6), (1,)), "which cannot be"),
        (shaped(0, (1,) * 65, (1,) * 65), "which cannot be"),
        (shaped(0, (2.0,), (1,)), "not described as PyTorch describes them"),
        (shaped(0, (1 << 40,), (1,), size=1 << 40), "hold far more than the file|not all there"),
        (shaped(0, (1,), (1,), size=-1), "not described as PyTorch"),
        ({"w": Tensor("no storage", 0, (1,), (1,))}, "not described as PyTorch"),
        ({"w": Tensor(Storage("QInt8Storage", "0", VALUES), 0, (1,), (1,))}, "asks for torch.QInt8Storage"),
        ({f"w{number}": tensor(np.zeros(10_000, "float32")) for number in range(9)}, "hold far more than the file"),
        ({"epoch": 3}, "no dict of tensors by their names"),
        ([tensor()], "no dict of tensors by their names"),
        ({(1, 2): tensor()}, "keys that are neither texts nor numbers"),
    ],
)
def test_tensors_that_cannot_be(write, state, reason, tmp_path):
    sentence = refusal(write(tmp_path / "made_up.pth", state))
    assert any(one in sentence for one in reason.split("|"))


def opcodes(*names, end=b"."):
    """A pickle of operations without arguments, and of raw bytes."""
    code = {one.name: one.code.encode("latin-1") for one in pickletools.opcodes}
    return b"\x80\x02" + b"".join(name if isinstance(name, bytes) else code[name] for name in names) + end


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        # A place in the memory for which Python's own unpickler would make room.
        (opcodes("EMPTY_DICT", b"r\xff\xff\xff\x7f"), "no dict of tensors"),
        (opcodes(b"\x8e" + struct.pack("<Q", 1 << 60)), "is damaged"),
        (opcodes(b"\x8b\xff\xff\xff\x7f"), "is damaged"),
        (opcodes(*["MARK"] * 100_000, *["TUPLE"] * 99_999), "no dict of tensors"),
        (opcodes("EMPTY_DICT", *["EMPTY_TUPLE", *["TUPLE1"] * 200_000], "NONE", "SETITEM"), "keys that are neither"),
        (opcodes(*["EMPTY_LIST"] * 200_000, *["APPEND"] * 199_999), "no dict of tensors"),
        (opcodes("EMPTY_DICT", "EMPTY_TUPLE", "REDUCE"), "calls something that is no function"),
        (opcodes(b"ctorch\nFloatStorage\n", "EMPTY_TUPLE", "REDUCE"), "calls something that is no function"),
        (opcodes(b"ctorch._utils\n_rebuild_tensor_v2\n", "EMPTY_TUPLE", "NEWOBJ"), "uses NEWOBJ"),
        (opcodes(b"ccollections\nOrderedDict\n", "EMPTY_DICT", "BUILD"), "gives a state to something"),
        (opcodes(b"Pname\n"), "uses PERSID"),
        (opcodes("EMPTY_DICT", "BINPERSID"), "refers to something other than a tensor's storage"),
        (opcodes("EMPTY_LIST", "EMPTY_LIST", "STACK_GLOBAL"), "is damaged"),
        # The same long list a thousand times, each of which would be walked through.
        (
            opcodes(
                *(b"X\1\0\0\0a", "NONE", "TUPLE2", b"q\0"),
                *("EMPTY_LIST", b"q\1", "MARK", *[b"h\0"] * 50_000, "APPENDS"),
                *[b"ccollections\nOrderedDict\n", b"h\1", "TUPLE1", "REDUCE"] * 1000,
            ),
            "longer than any of tensors",
        ),
        (opcodes("REDUCE"), "is damaged"),
        (opcodes("EMPTY_DICT", "APPENDS"), "is damaged"),
        (opcodes(), "is damaged"),
        (opcodes("EMPTY_DICT", end=b""), "is damaged"),
        (b"", "is damaged"),
    ],
)
def test_pickles_that_are_made_up(contents, reason, tmp_path):
    assert reason in refusal(archive(tmp_path / "made_up.pt", {}, pickle=contents or b"\0"))


def test_a_pickle_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_pickles, "MOST_OPERATIONS", 100)
    path = archive(tmp_path / "long.pt", {}, pickle=opcodes(*["EMPTY_DICT"] * 101))
    assert "longer than any of tensors" in refusal(path)


def test_archives_that_pytorch_does_not_write(tmp_path):
    state = {"w": tensor(np.zeros(1 << 16, "float32"))}
    packed = archive(tmp_path / "packed.pt", state, compression=zipfile.ZIP_DEFLATED)
    assert "entries are compressed" in refusal(packed)
    other = archive(tmp_path / "big.pt", state, extra=[("byteorder", "big")])
    assert "its numbers are big-endian" in refusal(other)
    assert "its numbers are big-endian" in refusal(row(tmp_path / "big.pth", state, little_endian=False))
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as empty:
        empty.writestr("readme.txt", "nothing")
    assert "not a whole archive that torch.save wrote" in refusal(tmp_path / "other.pt")
    # Storages of other lengths than were promised.
    assert "not those that its tensors are views of" in refusal(row(tmp_path / "row.pth", state, counts=7))


@pytest.mark.parametrize("write", [archive, row])
def test_files_that_are_cut(write, tmp_path):
    path = write(tmp_path / "whole.pth", {"weight": tensor(), "bias": tensor(VALUES[0].copy(), "1")})
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        refusal(path)


@pytest.mark.parametrize("write", [archive, row])
def test_files_with_bits_turned(write, tmp_path):
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
    assert "not a file that torch.save wrote" in refusal(path)
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    assert "not a whole .safetensors file" in refusal(path)


def test_files_that_are_not_there_or_named_otherwise(tmp_path):
    for name in ("none.pth", "none.safetensors"):
        assert "cannot be read: No such file" in refusal(tmp_path / name)
    (tmp_path / "folder.safetensors").mkdir()
    assert "cannot be read" in refusal(tmp_path / "folder.safetensors")
    with pytest.raises(InputError, match=r"does not end as files of tensors do: .safetensors, .pth, .pt\."):
        read_tensors(tmp_path / "weights.bin")
    tar = tmp_path / "tar.pth"
    tar.write_bytes(bytes(257) + b"ustar" + bytes(300))
    assert "tar archive, as PyTorch wrote them before 2017" in refusal(tar)


def test_safetensors_there_and_back(tmp_path):
    tensors = {
        "weight": VALUES,
        # The library would write these as they lie in memory.
        "turned": VALUES.T,
        "every_second": VALUES[:, ::2],
        "counter": np.array(7),
        "small": np.array([0.5, 65504], "float16"),
        "empty": np.zeros((0, 3), "float32"),
    }
    path = tmp_path / "new" / "a.safetensors"
    write_safetensors(path, tensors)
    read = read_tensors(path)
    assert read.keys() == tensors.keys()
    for name, expected in tensors.items():
        np.testing.assert_array_equal(read[name], expected, strict=name != "small")
    assert read["small"].dtype == "float32"
    assert os.listdir(path.parent) == ["a.safetensors"]
    whole = path.read_bytes()
    # The specification: the length of a JSON header, the header, and the values.
    assert b'"__metadata__":{"format":"pt"}' in whole[8 : 8 + struct.unpack("<Q", whole[:8])[0]]
    for length in range(0, len(whole), 11):
        path.write_bytes(whole[:length])
        assert "not a whole .safetensors file" in refusal(path)


def test_safetensors_in_16_bits_of_either_kind(tmp_path):
    header = b'{"brain":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + BFLOAT16.tobytes())
    np.testing.assert_array_equal(read_tensors(tmp_path / "a.safetensors")["brain"], np.array([1, -2], "float32"))


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    import safetensors.numpy

    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"w": VALUES})

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(InputError, match=r"a\.safetensors cannot be written: the disk is full\."):
        write_safetensors(path, {"w": VALUES + 1})
    np.testing.assert_array_equal(tensor_files.read_tensors(path)["w"], VALUES)
    assert os.listdir(tmp_path) == ["a.safetensors"]
