"""What the model card says to somebody who has the export folder alone."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt

from kerascnn import data
from kerascnn.data import LabeledImages
from kerascnn.export import Tolerance, export
from kerascnn.export.model_card import INPUT_FORMS, format_training
from kerascnn.layers import ClassLabels, Preprocessing
from kerascnn.training import Recipe
from support.messages import names


def classifier(channels, class_names=("cat", "dog")):
    pixels = keras.Input((24, 40, channels), name="pixels")
    x = Preprocessing((), 64.0, 0.9, name="preprocessing")(pixels)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Conv2D(4, 3, name="conv1")(x))
    x = keras.layers.Dense(2, activation="softmax", name="fc")(x)
    return keras.Model(pixels, ClassLabels(class_names, name="labels")(x), name="tiny")


def card_of(folder, channels=3, quantize="none", pixels=None):
    generator = np.random.default_rng(0)
    examples = data.ArrayExamples(
        generator.integers(0, 256, (20, 24, 40, channels)).astype("uint8"), generator.integers(0, 2, 20)
    )
    images = data.DataSet("mine", "somewhere/mine", ("cat", "dog"), examples, examples)
    choices = {"formats": ["tflite"], "quantize": quantize, "pixels": pixels, "tolerance": Tolerance(1, 1, 1)}
    exported = export(classifier(channels), images, folder, **choices)
    assert not exported.verification.failures
    return exported, (exported.folder / "model_card.md").read_text()


def test_files_code_and_measurements(tmp_path):
    exported, card = card_of(tmp_path / "phone", quantize=["none", "dynamic"])
    names(card, "| phone.tflite | float32 (1, 24, 40, 3) | 0 to 255 | float32 (1, 2)")
    names(card, "| phone-dynamic.tflite | uint8 (1, 24, 40, 3) | 0 to 255 |")
    names(card, "const val HEIGHT = 24", "const val WIDTH = 40", 'openFd("phone.tflite")', "12 * HEIGHT", "putFloat(")
    names(card, "let width = 40, height = 24", 'forResource: "phone"', "[Float32]", "* 0.9f", "/ 0.9\n", "MediaPipe")
    accuracy = exported.verification.results[0].accuracy
    assert f"| Keras | {100 * accuracy:.2f} % (" in card and "95 % confidence interval" in card


def test_names_and_secrets_of_strangers(tmp_path):
    """Nothing in the card is obeyed by a reader of Markdown or HTML, and no file has a URL's token."""
    classes = ["[cat](http://x)", "<img src=x onerror=alert(1)>|`rm`"]
    examples = data.ArrayExamples(np.zeros((4, 24, 40, 3), "uint8"), np.array([0, 1, 0, 1]))
    images = data.DataSet("mine", "http://host/pets.zip?token=SECRET", tuple(classes), examples, examples)
    choices = {"formats": ["tflite"], "tolerance": Tolerance(1, 1, 1), "author": "<b>me</b>\n# me"}
    folder = export(classifier(3, classes), images, tmp_path / "a`b|c", **choices).folder
    for file in folder.rglob("*"):
        assert not (file.is_file() and b"SECRET" in file.read_bytes())
    page = MarkdownIt("commonmark").enable("table").render((folder / "model_card.md").read_text())
    names(page, "[cat](http://x)", "&lt;img src=x onerror=alert(1)&gt;|`rm`", "images of pets.zip, one", "&lt;b&gt;me")
    assert "<img" not in page and 'href="http://x"' not in page and "<b>" not in page
    assert page.count("<h1>") == 1 and page.count("<code") == page.count("</code>")
    assert (folder / "labels.txt").read_text().splitlines() == classes


def test_what_is_not_known_is_not_claimed(tmp_path):
    card = card_of(tmp_path / "phone")[1]
    names(card, "20 validation images of mine", "Whether the model was trained on them is not known")
    assert "none of them was used" not in card


@pytest.mark.parametrize(
    ("split", "images", "said"),
    [
        ("validation", "validation images of", "none of them was used for training"),
        ("test", "test images of", "none of them was used for training"),
        ("training", "training images of", "was trained on images among them"),
        ("all", "images of", "was trained on images among them"),
    ],
)
def test_which_images_of_the_own_data(split, images, said, tiny_digits_run, few_digits, tmp_path):
    origin = yaml.safe_load(tiny_digits_run.folder.recipe_file.read_text())
    some = replace(LabeledImages.of(few_digits), split=split)
    exported = export(tiny_digits_run.model, some, tmp_path / "mine", formats=["keras"], origin=origin)
    names((exported.folder / "model_card.md").read_text(), f"{len(some.examples)} {images}", said)


@pytest.mark.parametrize(
    ("pixels", "channels", "kotlin", "swift"),
    [
        ("uint8", 3, "for (value in listOf(red, green, blue)) pixels.put(value.toByte())", "UInt8(color)"),
        ("int8", 3, "pixels.put((value - 128).toByte())", "Int8(Int(color) - 128)"),
        ("uint8", 1, "pixels.put((0.299 * red + 0.587 * green + 0.114 * blue).roundToInt().toByte())", "UInt8(gray)"),
    ],
)
def test_code_fits_the_type_of_pixels(tmp_path, pixels, channels, kotlin, swift):
    card = card_of(tmp_path / "phone", channels, "int8", pixels)[1]
    names(card, kotlin, swift, INPUT_FORMS[pixels]["range"], f"{channels} * HEIGHT * WIDTH")
    assert ("MediaPipe's image classifier opens these files" in card) == (pixels == "uint8" and channels == 3)


@pytest.mark.parametrize(
    ("model", "weights", "said"),
    [
        ("resnet50", "", "trained from scratch on pets"),
        ("resnet50", "imagenet", "fine-tuned from the public weights imagenet (license MIT (Kaiming He)) on pets"),
        ("resnet18", "timm/resnet18.a1_in1k", "timm/resnet18.a1_in1k (license Apache 2.0 (timm)) on pets"),
        ("resnet50", "/home/me/runs/resnet50-birds-20261128", "fine-tuned from resnet50-birds-20261128 on pets"),
    ],
)
def test_what_a_training_began_with(model, weights, said):
    recipe = Recipe.load("finetune").with_values(model=model, fine_tuning={"weights": weights})
    origin = {"recipe": recipe.to_dict(), "data": {"source": "my/pets"}, "facts": {"training_images": 9}}
    names(format_training(origin), "ResNet", said, "9 training images")
