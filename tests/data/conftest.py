"""A data set of images of several formats, what is decoded, and a machine without pillow-heif."""

import builtins

import pytest
from PIL import Image

from kerascnn import data
from kerascnn.data.ingestion import image_formats
from kerascnn.data.ingestion.image_readers import Readers


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
    """The paths of files that are decoded."""
    seen, facts = [], Readers.facts

    def watched(readers, requests):
        found = facts(readers, requests)
        seen.extend(request.path for request, one in zip(requests, found, strict=True) if one.keys() > {"sha256"})
        return found

    monkeypatch.setattr(Readers, "facts", watched)
    return seen


@pytest.fixture
def without_heif(monkeypatch, tmp_path_factory):
    """A machine on which pillow-heif is not installed."""
    # For the processes that read images.
    folder = tmp_path_factory.mktemp("without_heif")
    (folder / "pillow_heif.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(Readers, "_idle", [])
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
