"""A network of gray images that are not square, from its training to each of its files."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import photograph

import kerascnn
from kerascnn import data
from kerascnn.evaluation.embedding import embed
from kerascnn.evaluation.predictors import open_predictor
from kerascnn.evaluation.protocols import Protocol
from kerascnn.evaluation.run_report import report_run
from kerascnn.evaluation.scores import evaluate
from kerascnn.export.exporter import export
from support.messages import names
from support.tiny_training import tiny_networks

pytestmark = pytest.mark.slow

SIZE = (24, 40)
FILES = ("saved_model", "oblong.keras", "oblong.onnx", "oblong.tflite", "oblong-int8.tflite")


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    """JPEG and PNG files in color, of several shapes."""
    folder = tmp_path_factory.mktemp("stripes") / "stripes"
    for kind in ("lying", "standing"):
        (folder / kind).mkdir(parents=True)
        for number in range(14):
            shape = (60 + 3 * number, 50) if number % 2 else (40, 70)
            image = photograph(1000 * (kind == "lying") + number, kind, shape)
            image.save(folder / kind / f"{number:02}.{'jpg' if number % 3 else 'png'}")
    return folder


@pytest.fixture(scope="module")
def run(stripes, tmp_path_factory):
    from kerascnn.training import Recipe, RunConfig, train

    recipe = Recipe.for_model("resnet20").with_values(
        image_size=SIZE, channels=1, epochs=2, batch_size=8, precision="float32"
    )
    # A mean image, and images that are larger than what is cut from them.
    recipe = replace(recipe, pixels=replace(recipe.pixels, mean="pixel", crop_fraction=0.875))
    options = {"runs": tmp_path_factory.mktemp("oblong") / "runs", "run_config": RunConfig(cache="memory")}
    with tiny_networks():
        return train(recipe, data.load(stripes), **options)


@pytest.fixture(scope="module")
def exported(run, stripes, tmp_path_factory):
    folder, quantize = tmp_path_factory.mktemp("exported") / "oblong", ["none", "int8"]
    # Of images that are not among those that calibrate, 8 bits may cut off what is greater.
    options = {"calibration": data.load_labeled(stripes), "formats": ("savedmodel", "tflite", "onnx", "keras")}
    return export(run.folder.model_file, data.load(stripes), folder, quantize=quantize, **options)


def paths_of(stripes):
    return sorted(stripes.rglob("*.*g"))[::3]


def probabilities(model, stripes):
    found = kerascnn.load(model).predict([str(path) for path in paths_of(stripes)])
    return np.array([[dict(one.top)[name] for name in ("lying", "standing")] for one in found])


def test_the_run_says_what_it_takes(run):
    recipe = run.folder.read_recipe()[0]
    assert recipe == run.recipe and recipe.image_shape == (24, 40, 1)
    assert run.model.input_shape == (None, 24, 40, 1)
    assert run.model.get_layer("preprocessing").mean.shape == (24, 40, 1)
    assert str(kerascnn.load(run.folder.path)) == "<Classifier: Keras, 2 classes, 24 × 40 pixels, gray>"


@pytest.mark.parametrize("file", FILES)
def test_every_file_predicts_as_the_run(file, run, exported, stripes):
    assert exported.verification.failures == []
    found, expected = (probabilities(path, stripes) for path in (exported.folder / file, run.folder.path))
    # An output of 8 bits has steps of 1/256, of which 0.7 are taken.
    np.testing.assert_allclose(found, expected, atol=2 / 256 if "int8" in file else 1e-5)
    metadata = open_predictor(exported.folder / file).metadata
    assert (metadata.image_size, metadata.channels, metadata.image_shape) == (SIZE, 1, (24, 40, 1))


def test_the_saved_model_takes_files(run, exported, stripes):
    import tensorflow as tf

    signatures = open_predictor(exported.folder / "saved_model").signatures
    contents = tf.constant([path.read_bytes() for path in paths_of(stripes)])
    scores = signatures["serve_bytes"](contents)["scores"].numpy()
    np.testing.assert_allclose(scores, np.sort(probabilities(run.folder.path, stripes))[:, ::-1], atol=1e-5)


def test_gray_and_color_arrays_of_any_size(run):
    model = kerascnn.load(run.folder.path)
    gray = np.random.default_rng(0).integers(0, 256, (50, 60), dtype=np.uint8)
    forms = gray, gray[..., None], gray[..., None].repeat(3, axis=2), gray.astype(np.float32)
    found = [dict(model.predict(form)[0].top)["lying"] for form in forms]
    np.testing.assert_allclose(found, found[0], atol=1e-5)


@pytest.mark.parametrize("name", ["144 crops", "dense"])
def test_protocols(name, run, stripes):
    """Averages of more views of the same images by the same network: near to one view's, and not the same."""
    predictor, source = open_predictor(run.folder.path), data.load(stripes)
    one, several = (evaluate(predictor, source, protocol=Protocol(each)) for each in ("1 crop", name))
    assert 1e-4 < np.abs(one.probabilities - several.probabilities).max() < 0.2
    np.testing.assert_allclose(several.probabilities.sum(axis=1), 1, atol=1e-5)


def test_one_crop_is_what_predictions_see(run, stripes):
    source = data.load(stripes)
    scores = evaluate(open_predictor(run.folder.path), source)
    model = kerascnn.load(run.folder.path)
    found = [dict(one.top) for one in model.predict([str(path) for path in source.validation.paths])]
    np.testing.assert_allclose([one["lying"] for one in found], scores.probabilities[:, 0], atol=1e-6)


def test_explanations_features_and_reports(run, exported, stripes, command, tmp_path):
    paths = paths_of(stripes)[:2]
    assert command("explain", run.folder.path, *paths, "--to", tmp_path).status == 0
    assert (tmp_path / "filters.png").is_file()
    features = [embed(open_predictor(path), paths).features for path in (run.folder.path, exported.folder)]
    np.testing.assert_allclose(*features, atol=1e-4)
    predictor, source = open_predictor(run.folder.path), data.load(stripes)
    report_run(run.folder, evaluate(predictor, source), "stripes", source.validation, predictor.metadata)
    assert (run.folder.path / "curves.png").is_file()


def test_the_card_and_the_metadata_say_what_a_file_takes(exported):
    from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

    card = (exported.folder / "model_card.md").read_text()
    names(card, "gray pixels", "24 x 40 (height x width)", "covers 27 x 45 pixels", "MediaPipe")
    model = (exported.folder / "oblong.tflite").read_bytes()
    start = model.find(b"M001") - 4
    metadata = schema.ModelMetadata.GetRootAs(model[start:])
    [pixels] = [metadata.SubgraphMetadata(0).InputTensorMetadata(0)]
    properties = schema.ImageProperties()
    properties.Init(pixels.Content().ContentProperties().Bytes, pixels.Content().ContentProperties().Pos)
    assert properties.ColorSpace() == schema.ColorSpaceType.GRAYSCALE
    assert (properties.DefaultSize().Width(), properties.DefaultSize().Height()) == (40, 24)


def test_mediapipe_takes_no_gray_images(exported):
    """The card and docs/mobile.md say so."""
    import mediapipe
    from mediapipe.tasks.python import vision

    base = mediapipe.tasks.BaseOptions(model_asset_path=str(exported.folder / "oblong.tflite"))
    with pytest.raises(ValueError, match="RGB"):
        vision.ImageClassifier.create_from_options(vision.ImageClassifierOptions(base_options=base))
