"""Positions of crops, on images whose pixels are their coordinates, and the number of crops that a model gets."""

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, data
from kerascnn.evaluation import Predictor, Protocol, evaluate
from kerascnn.evaluation.crops import crop_batches, crops
from kerascnn.evaluation.predictors import ModelMetadata
from kerascnn.evaluation.protocols import protocol_of
from kerascnn.training import Recipe
from support.messages import mentioning

# Crops of 28 from squares of 32 leave 4 pixels, as 224 from 256 leave 32.
SIZE = 28


def coordinates(height, width):
    """An image whose red is the row and whose green is the column. At the target size it is not resized."""
    rows, columns = np.indices((height, width))
    return np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8)


def corners_of(found):
    """(row, column) of each crop's first and last pixel; checks that all pixels between them are in order."""
    for crop in found:
        np.testing.assert_array_equal(crop[:, :1, 0] - crop[:1, :1, 0], np.arange(len(crop))[:, None])
        np.testing.assert_array_equal(crop[..., 0], np.broadcast_to(crop[:, :1, 0], crop.shape[:2]))
        np.testing.assert_array_equal(np.abs(crop[0, :, 1] - crop[0, 0, 1]), np.arange(len(crop)))
        np.testing.assert_array_equal(crop[..., 1], np.broadcast_to(crop[:1, :, 1], crop.shape[:2]))
    return [(tuple(map(int, crop[0, 0, :2])), tuple(map(int, crop[-1, -1, :2]))) for crop in found]


TEN = [
    # top left, top right, bottom left, bottom right, center of the central square of an image of 32 x 50
    ((0, 9), (27, 36)), ((0, 13), (27, 40)), ((4, 9), (31, 36)), ((4, 13), (31, 40)), ((2, 11), (29, 38)),
    # and their mirror images, which begin with the last column
    ((0, 36), (27, 9)), ((0, 40), (27, 13)), ((4, 36), (31, 9)), ((4, 40), (31, 13)), ((2, 38), (29, 11)),
]  # fmt: skip


def test_ten_crops():
    found = crops(coordinates(32, 50), 32, SIZE, "10 crops").numpy()
    assert corners_of(found) == TEN
    upright = crops(coordinates(50, 32), 32, SIZE, "10 crops").numpy()[:5]
    assert [first for first, _ in corners_of(upright)] == [(9, 0), (9, 4), (13, 0), (13, 4), (11, 2)]


def test_twelve_crops_are_ten_crops_and_the_resized_square():
    found = crops(coordinates(32, 50), 32, SIZE, "12 crops").numpy()
    assert corners_of(found[[0, 1, 2, 3, 4, 6, 7, 8, 9, 10]]) == TEN
    # Pixel j of 28 is at position (j + 1/2) 32/28 - 1/2 of 32; at the ends the triangle filter is cut.
    inside = (np.arange(28) + 0.5) * 32 / 28 - 0.5
    for whole, across in ((found[5], inside), (found[11], inside[::-1])):
        np.testing.assert_allclose(whole[2:-2, 0, 0], inside[2:-2], atol=0.25)
        np.testing.assert_allclose(whole[0, 2:-2, 1] - 9, across[2:-2], atol=0.25)


@pytest.mark.parametrize("side", [32, 36, 40, 44])
@pytest.mark.parametrize("upright", [False, True], ids=["landscape", "portrait"])
def test_144_crops_at_each_scale(side, upright):
    longer = side + 21
    shape = (longer, side) if upright else (side, longer)
    found = crops(coordinates(*shape), side, SIZE, "144 crops").numpy()
    assert found.shape == (36, SIZE, SIZE, 3)
    room = side - SIZE
    corners = [(0, 0), (0, room), (room, 0), (room, room), (room // 2, room // 2)]
    for number, offset in enumerate([0, 10, 21]):
        square = found[6 * number : 6 * number + 6]
        start = (offset, 0) if upright else (0, offset)
        firsts = [first for first, _ in corners_of(square[:5])]
        assert firsts == [(start[0] + top, start[1] + left) for top, left in corners]
        # The whole square, resized: its mean is that of the square.
        middle = np.array(start) + (side - 1) / 2
        np.testing.assert_allclose(square[5].mean(axis=(0, 1))[:2], middle, atol=0.02)
        assert square[5][..., 0].max() > start[0] + side - 2.5
    np.testing.assert_array_equal(found[18:], found[:18, :, ::-1])


def test_two_crops_are_the_center_and_its_mirror_image():
    center, mirrored = crops(coordinates(32, 50), 32, SIZE, "2 crops").numpy()
    np.testing.assert_array_equal(center, crops(coordinates(32, 50), 32, SIZE, "1 crop").numpy()[0])
    np.testing.assert_array_equal(mirrored, center[:, ::-1])


def test_the_center_of_ten_crops_equals_one_crop():
    image = np.random.default_rng(0).integers(0, 256, (300, 421, 3)).astype(np.uint8)
    [center] = crops(image, 256, 224, "1 crop").numpy()
    np.testing.assert_array_equal(crops(image, 256, 224, "10 crops").numpy()[4], center)


@pytest.mark.parametrize(
    ("name", "size", "fraction", "sides", "views"),
    [
        ("1 crop", 224, 0.875, (256,), 1),
        ("10 crops", 224, 0.875, (256,), 10),
        ("10 crops", 32, 1.0, (37,), 10),
        ("12 crops", 299, 0.875, (342,), 12),
        ("2 crops", 224, 1.0, (224,), 2),
        ("144 crops", 224, 0.875, (256, 288, 320, 352), 144),
        ("144 crops", 299, 0.875, (342, 384, 427, 470), 144),
        ("dense", 224, 0.875, (224, 256, 384, 480, 640), 10),
    ],
)
def test_scales_and_counts(name, size, fraction, sides, views):
    metadata = ModelMetadata(("a", "b"), size, fraction)
    assert (Protocol(name).sides(metadata), Protocol(name).views(metadata)) == (sides, views)


def test_protocols_of_recipes():
    assert str(protocol_of(Recipe.load("googlenet"), ModelMetadata(("a", "b"), 224, 0.875))) == (
        "144 crops at 256, 288, 320, 352"
    )
    half = ModelMetadata(("a", "b"), 112, 0.875)
    assert protocol_of(Recipe.load("vgg16"), half) == Protocol("dense", (128, 192, 256))
    assert protocol_of(Recipe.load("resnet_small"), half) == Protocol("1 crop")


def test_invalid_protocols():
    with mentioning(InputError, "200 pixels", "224"):
        Protocol("10 crops", (200,)).sides(ModelMetadata(("a", "b"), 224, 0.875))
    with mentioning(InputError, "'11 crops'", "did you mean 1"):
        Protocol("11 crops")


class Brightness(Predictor):
    """Predicts red and green of the first pixel; records batch sizes."""

    kind = "counting"
    path = None
    metadata = ModelMetadata(("a", "b"), SIZE, 0.875)

    def __init__(self):
        self.batches = []

    def _probabilities(self, images):
        self.batches.append(len(images))
        red, green = images[:, 0, 0, 0] + 1, images[:, 0, 0, 1] + 1
        return np.stack([red, green], axis=1) / (red + green)[:, None]


@pytest.fixture
def three_sizes(tmp_path):
    """Twenty PNG files of three sizes, of class b."""
    paths = []
    for number in range(20):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(coordinates(*[(32, 50), (50, 32), (40, 40)][number % 3])).save(paths[-1])
    examples = data.FileExamples(np.array(paths), np.zeros(20, bool), np.ones(20, int))
    return data.DataSet("three", "three", ("a", "b"), examples, examples)


@pytest.mark.parametrize(("name", "views"), [("1 crop", 1), ("10 crops", 10), ("144 crops", 144)])
def test_each_image_is_read_once_and_each_crop_predicted_once(name, views, three_sizes, monkeypatch):
    import kerascnn.data.pipeline.decode as reading

    read = []
    original = reading.read_image
    monkeypatch.setattr(reading, "read_image", lambda path: read.append(str(path)) or original(path))
    predictor = Brightness()
    scores = evaluate(predictor, three_sizes, protocol=Protocol(name))
    assert sorted(read) == sorted(three_sizes.validation.paths)
    assert sum(predictor.batches) == 20 * views
    # Batches are full across images, and no larger.
    assert predictor.batches == [64] * (20 * views // 64) + [20 * views % 64] * (20 * views % 64 > 0)
    np.testing.assert_array_equal(scores.sizes[:4], [(32, 50), (50, 32), (40, 40), (32, 50)])


def test_probabilities_are_averaged_over_the_crops(three_sizes):
    scores = evaluate(Brightness(), three_sizes, protocol=Protocol("10 crops"))
    # The first pixels of the ten crops of an image of 32 x 50.
    firsts = np.array([first for first, _ in TEN]) + 1.0
    np.testing.assert_allclose(
        scores.probabilities[0], (firsts / firsts.sum(axis=1, keepdims=True)).mean(axis=0), rtol=1e-6
    )
    # The seven landscape images have more columns than rows, and so do the mirrored crops of the six squares.
    assert scores.correct() == 13


def test_crops_of_one_batch_come_from_several_images(three_sizes):
    batches = list(crop_batches(three_sizes.validation, "10 crops", (32,), SIZE).as_numpy_iterator())
    numbers = np.concatenate([images for _, images, _ in batches])
    np.testing.assert_array_equal(numbers, np.repeat(np.arange(20), 10))
