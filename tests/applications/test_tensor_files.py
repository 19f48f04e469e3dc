"""Files of tensors are read as they were written."""

import base64
import os
import struct
import sys
import zlib
from collections import OrderedDict

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications.weights import tensor_files
from kerascnn.applications.weights.tensor_files import read_tensors, write_safetensors
from support.messages import mentioning
from support.torch_files import BFLOAT16, VALUES, Parameter, Storage, Tensor, archive, row, tensor

pytestmark = pytest.mark.usefixtures("torch_names")


# A state dict that PyTorch 2.13 saved in both formats, compressed: (weight with two axes exchanged, bfloat16
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


def test_files_that_pytorch_writes(tmp_path, monkeypatch):
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


@pytest.mark.parametrize("format", SAVED)
def test_files_that_pytorch_wrote(format, tmp_path):
    path = tmp_path / "saved.pth"
    path.write_bytes(zlib.decompress(base64.b85decode(SAVED[format])))
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
        with mentioning(InputError, path, "cannot be read"):
            read_tensors(path)


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
    with mentioning(InputError, "a.safetensors", "disk is full"):
        write_safetensors(path, {"w": VALUES + 1})
    np.testing.assert_array_equal(tensor_files.read_tensors(path)["w"], VALUES)
    assert os.listdir(tmp_path) == ["a.safetensors"]
