"""A data set of images of several formats."""

import pytest
from PIL import Image

from kerascnn import data


@pytest.fixture(scope="session")
def mixed(photographs, tmp_path_factory) -> data.DataSet:
    """Photographs as JPEG, and images that TensorFlow's JPEG decoder does not read."""
    folder = tmp_path_factory.mktemp("mixed")
    for kind in ("lying", "standing"):
        (folder / kind).mkdir()
        for path in sorted((photographs / kind).glob("?.jpg")):
            (folder / kind / path.name).write_bytes(path.read_bytes())
        Image.open(path).rotate(20).save(folder / kind / "turned.webp", lossless=True)
        Image.open(path).convert("L").resize((50, 40)).save(folder / kind / "gray.png")
    return data.load(folder)
