"""ONNX files in ONNX Runtime, and the message if its packages are not installed."""

import importlib.util
import sys
import weakref

import keras
import numpy as np
import pytest

import kerascnn.export.onnx_file as onnx_file
from kerascnn import InputError
from kerascnn.evaluation import open_predictor
from kerascnn.evaluation.predictors import ModelMetadata
from kerascnn.export import deployable, export
from kerascnn.export.file_measurements import operations_of
from support.messages import mentioning

needs_onnx = pytest.mark.skipif(importlib.util.find_spec("tf2onnx") is None, reason="the extra `onnx` is not installed")


@pytest.fixture(scope="module")
def exported(digits_run, few_digits, tmp_path_factory):
    return export(digits_run.model, few_digits, tmp_path_factory.mktemp("onnx") / "mine", formats=["onnx"])


@needs_onnx
@pytest.mark.slow
def test_it_is_verified_and_published_like_the_others(exported):
    assert {entry.name for entry in exported.folder.iterdir()} == {
        *("mine.onnx", "labels.txt", "model_card.md", "verification.json")
    }
    row = exported.verification.results[1]
    assert (row.format, row.agreement) == ("ONNX", 40)
    assert row.max_difference < 1e-4
    assert row.size_bytes == (exported.folder / "mine.onnx").stat().st_size
    assert row.single_thread_latency_ms > 0
    # ResNet-20: 1 + 3 * 3 * 2 convolutions, as many ReLUs, one dense layer.
    assert (row.operations["Conv"], row.operations["Relu"], row.operations["MatMul"]) == (19, 19, 1)


@needs_onnx
@pytest.mark.slow
def test_it_has_labels_and_takes_any_number_of_images(exported, digits_run, few_digits):
    predictor = open_predictor(exported.folder / "mine.onnx")
    assert predictor.metadata == ModelMetadata(tuple("0123456789"), 32, 1.0)
    images = few_digits.validation.images.astype("float32")
    np.testing.assert_allclose(predictor.probabilities(images), digits_run.model(images), atol=1e-4)
    np.testing.assert_allclose(predictor.probabilities(images[:1]), digits_run.model(images[:1]), atol=1e-4)


@needs_onnx
def test_grouped_convolutions(tmp_path):
    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 3), name="pixels")
    x = keras.layers.Conv2D(8, 3, name="conv1")(pixels)
    x = keras.layers.Conv2D(8, 3, groups=4, name="conv2")(x)
    model = keras.Model(pixels, keras.layers.Dense(2, name="fc")(keras.layers.Flatten(name="flatten")(x)))
    onnx_file.write_onnx(deployable(model), tmp_path / "grouped.onnx")
    assert operations_of(tmp_path / "grouped.onnx").counts["Conv"] == 2
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    expected = np.asarray(model(images))
    found = open_predictor(tmp_path / "grouped.onnx").probabilities(images)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@needs_onnx
@pytest.mark.slow
def test_copies_of_the_network_are_freed_while_it_is_converted(tmp_path, monkeypatch):
    """The converter copies it some thirty times; a large network would fill the memory."""
    optimizers = pytest.importorskip("tf2onnx.optimizer.optimizer_base").GraphOptimizerBase
    optimize, copies, alive = optimizers.optimize, weakref.WeakSet(), []

    def counted(self, graph, iteration):
        copies.add(graph)
        alive.append(len(copies))
        return optimize(self, graph, iteration)

    monkeypatch.setattr(optimizers, "optimize", counted)
    pixels = x = keras.Input((4, 4, 3), name="pixels")
    for number in range(40):
        x = keras.layers.Conv2D(3, 1, name=f"conv{number + 1}")(x)
    model = keras.Model(pixels, keras.layers.Dense(2, name="fc")(keras.layers.Flatten(name="flatten")(x)))
    onnx_file.write_onnx(deployable(model), tmp_path / "deep.onnx")
    assert len(alive) > 20
    assert max(alive) <= 6


@needs_onnx
def test_networks_too_large_for_a_file_are_rejected(brightness, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 10)
    with mentioning(InputError, "weights", "ONNX", "10 "):
        onnx_file.write_onnx(deployable(brightness), tmp_path / "large.onnx")


@needs_onnx
@pytest.mark.slow
def test_damaged_files_are_rejected_in_a_sentence(exported, tmp_path):
    whole = (exported.folder / "mine.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.onnx").write_text("not a network")
    for name in ("cut.onnx", "text.onnx"):
        with mentioning(InputError, name, "ONNX file"):
            open_predictor(tmp_path / name)


@pytest.fixture
def without(monkeypatch):
    """Makes it seem that some packages are not installed."""
    find = importlib.util.find_spec

    def hide(*missing):
        hidden = lambda name, *more: None if name in missing else find(name, *more)  # noqa: E731
        monkeypatch.setattr(importlib.util, "find_spec", hidden)
        for name in missing:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime", "tf2onnx"])
def test_missing_packages_are_reported_before_any_work(brightness, grays, tmp_path, without, missing):
    without(missing)
    with mentioning(InputError, "writing", f"package {missing}", "pip install 'kerascnn[onnx]'"):
        export(brightness, grays, tmp_path / "mine", formats=["tflite", "onnx"])
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_runtime_no_file_is_opened(tmp_path, without):
    without("onnxruntime")
    (tmp_path / "some.onnx").write_bytes(b"")
    with mentioning(InputError, "opening", "package onnxruntime", "pip install 'kerascnn[onnx]'"):
        open_predictor(tmp_path / "some.onnx")


@needs_onnx
@pytest.mark.slow
def test_onnx_runtime_alone_opens_a_file(exported, few_digits, without):
    without("onnx", "tf2onnx")
    images = few_digits.validation.images[:2].astype("float32")
    assert open_predictor(exported.folder / "mine.onnx").probabilities(images).shape == (2, 10)
