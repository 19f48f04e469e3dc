"""A data set of images of several formats, what is decoded, and a machine without pillow-heif."""

import builtins

import pytest
from PIL import Image

from kerascnn import data
from kerascnn.data.ingestion import image_check, image_formats


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


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """The paths that are decoded in this process."""
    seen, decode = [], image_check._decode
    monkeypatch.setattr(
        image_check, "_decode", lambda record, contents: seen.append(record.path) or decode(record, contents)
    )
    return seen


@pytest.fixture
def without_heif(monkeypatch):
    """A machine on which pillow-heif is not installed."""
    import_module = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "pillow_heif":
            raise ImportError(name)
        return import_module(name, *arguments, **options)

    Image.init()
    monkeypatch.setattr(builtins, "__import__", refuse)
    for table in (Image.OPEN, Image.EXTENSION):
        monkeypatch.setattr(Image, "OPEN" if table is Image.OPEN else "EXTENSION", dict(table))
    Image.OPEN.pop("HEIF", None)
    image_formats._formats.cache_clear()
    yield
    image_formats._formats.cache_clear()
