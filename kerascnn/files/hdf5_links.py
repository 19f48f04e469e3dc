"""Finds what an HDF5 file takes from other files, which no file of weights needs and HDF5 reads without a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py


def foreign_part(file: h5py.File) -> str | None:
    """What leads out of the file, as a phrase; None if everything in it is its own.

    Links of any kind but the ordinary one, data stored in other files, and data sets made of those of other files can
    name any file that the user may read.

    Example:
        >>> foreign_part(h5py.File("model.weights.h5"))
        "its 'layers/conv1' is an external link"
    """
    import h5py

    waiting, seen = [("", file)], set()
    while waiting:
        path, group = waiting.pop()
        for name in group:
            link, inner = group.get(name, getlink=True), f"{path}{name}"
            if isinstance(link, h5py.ExternalLink):
                return f"its '{inner}' is an external link"
            if not isinstance(link, h5py.HardLink):
                return f"its '{inner}' is a soft link"
            item = group[name]
            if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                return f"the values of its '{inner}' are in another file"
            address = h5py.h5o.get_info(item.id).addr
            if isinstance(item, h5py.Group) and address not in seen:
                seen.add(address)
                waiting.append((f"{inner}/", item))
    return None
