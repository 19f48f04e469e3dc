"""HDF5 files of weights that take values from other files of the user's."""

import io
import zipfile

import h5py
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications.weights import load
from kerascnn.files.hdf5_links import foreign_part
from support.messages import mentioning

VALUES = np.arange(6.0, dtype="float32")


def own(file):
    file["layers/conv/vars/0"] = VALUES
    file["layers/same"] = file["layers"]


def external_link(file):
    file["layers/conv/vars/0"] = h5py.ExternalLink("private.h5", "/secret")


def external_group(file):
    file["layers"] = h5py.ExternalLink("/etc/private.h5", "/")


def soft_link(file):
    file["other"] = VALUES
    file["layers/conv/vars/0"] = h5py.SoftLink("/other")


def dangling_link(file):
    file["layers/conv/vars/0"] = h5py.SoftLink("/nothing")


def external_storage(file):
    space = h5py.h5s.create_simple((6,))
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_external(b"private.bin", 0, 24)
    group = file.create_group("layers/conv/vars")
    h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, space, options)


def virtual(file):
    layout = h5py.VirtualLayout((6,), "float32")
    layout[:] = h5py.VirtualSource("private.h5", "secret", (6,), "float32")
    file.create_virtual_dataset("layers/conv/vars/0", layout)


HOSTILE = [external_link, external_group, soft_link, dangling_link, external_storage, virtual]


def made(fill) -> bytes:
    contents = io.BytesIO()
    with h5py.File(contents, "w") as file:
        fill(file)
    return contents.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with files that are nobody's business."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "private.bin").write_bytes(VALUES.tobytes())
    with h5py.File(tmp_path / "private.h5", "w") as file:
        file["secret"] = VALUES
    return tmp_path


@pytest.mark.parametrize("fill", HOSTILE)
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_weights_of_other_files_are_refused(folder, fill, suffix):
    path, contents = folder / f"model{suffix}", made(fill)
    if suffix == ".keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model.weights.h5", contents)
    else:
        path.write_bytes(contents)
    with mentioning(InputError, path, "refused", "layers"):
        load.read(path)


def test_files_of_their_own_are_read(folder):
    (folder / "model.h5").write_bytes(made(own))
    with h5py.File(folder / "model.h5") as file:
        assert foreign_part(file) is None
    assert np.array_equal(load.read(folder / "model.h5")["conv"][0], VALUES)
