"""Checkpoints of a training, damaged."""

from __future__ import annotations

import functools
import random
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from kerascnn.training import Checkpoints
from kerascnn.training.checkpoints.files import Position, Snapshot
from tests.hostile.attack import Kind
from tests.hostile.mutations import bytes_damaged


@functools.cache
def _checkpoints() -> dict[str, bytes]:
    """Two checkpoints of a run, by their names."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder))
        for epoch in (1, 2):
            weights = [np.full((8, 4), epoch, "float32"), np.zeros(2)]
            model = SimpleNamespace(variables=weights, optimizer=SimpleNamespace(variables=weights[:1]))
            row = {"epoch": float(epoch), "loss": 0.5}
            checkpoints.write(Position(epoch), model, [row] * epoch, Snapshot([], {"train/a": 7}), {"epochs": 4})
        return {file.name: file.read_bytes() for file in checkpoints.files()}


def make_checkpoint(chance: random.Random) -> bytes:
    """The newest of two checkpoints, damaged."""
    return bytes_damaged(_checkpoints()["epoch-0002.npz"], chance)


def read_checkpoint(folder: Path, contents: bytes) -> None:
    """Reads the newest: the one before, unless nothing was changed; what is read is what was written."""
    (folder / "epoch-0001.npz").write_bytes(_checkpoints()["epoch-0001.npz"])
    (folder / "epoch-0002.npz").write_bytes(contents)
    said: list[str] = []
    found = Checkpoints(folder).newest(said.append)
    epoch = 1 if contents != _checkpoints()["epoch-0002.npz"] else 2
    assert found is not None and found.position == Position(epoch) and len(said) == 2 - epoch
    assert (found.variables["model"][0] == epoch).all() and len(found.history) == epoch


CHECKPOINTS = Kind(make_checkpoint, read_checkpoint)
