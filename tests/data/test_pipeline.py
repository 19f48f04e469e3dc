"""Views and batches."""

import functools
import os
import subprocess
import sys
import tempfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import data
from kerascnn.data.augment.augmentation import Augmentation, evaluation_view
from kerascnn.data.augment.crops import CropWindow
from kerascnn.data.dataset import ArrayExamples, FileExamples
from kerascnn.data.ingestion.image_formats import read_image
from kerascnn.data.pipeline.decode import reader, whole
from kerascnn.data.pipeline.pipeline import evaluation_batches, training_batches
from kerascnn.data.pipeline.view_arrays import views_of
from kerascnn.errors import InputError
from kerascnn.evaluation.crops import crop_batches
from support.messages import mentioning
from support.views import training_view

slow = pytest.mark.slow

AUGMENTATIONS = [
    Augmentation(),
    Augmentation(flip=True),
    Augmentation(pad=4),
    Augmentation(scale=(0.3, 1.0), flip=True),
]


def numbered(count, size=8):
    """Images whose pixels are their own number."""
    images = np.zeros((count, size, size, 3), np.uint8)
    images[:] = np.arange(count)[:, None, None, None]
    return ArrayExamples(images, np.arange(count) % 3)


def batches(examples, **changes):
    settings = {
        "classes": 3,
        "size": 8,
        "crop_fraction": 1.0,
        "augmentation": Augmentation(),
        "batch_size": 4,
        "seed": 5,
        "epochs": range(2),
    }
    return [(x.numpy(), y.numpy()) for x, y in training_batches(examples, **{**settings, **changes})]


def image_numbers(batches):
    return [int(image[0, 0, 0]) for images, _ in batches for image in images]


def test_nothing_is_rewritten_by_autograph(tmp_path, monkeypatch):
    """Which takes a second, and leaves its files when the process is killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    batches(numbered(8), augmentation=Augmentation(scale=(0.3, 1.0), rand_augment=1, random_erasing=0.5, cutmix=0.5))
    assert list(tmp_path.iterdir()) == []


def test_every_epoch_has_every_image_once_in_another_order():
    order = image_numbers(batches(numbered(12)))
    assert sorted(order[:12]) == sorted(order[12:]) == list(range(12))
    assert order[:12] != order[12:]
    assert image_numbers(batches(numbered(12), seed=6)) != order


def test_left_over_images_change_from_epoch_to_epoch():
    order = image_numbers(batches(numbered(11), epochs=range(6)))
    assert len(order) == 6 * 8
    left_over = [frozenset(range(11)) - set(order[start : start + 8]) for start in range(0, 48, 8)]
    assert all(len(left) == 3 for left in left_over)
    assert len(set(left_over)) > 1


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_a_later_start_sees_the_same_batches(augmentation, digits):
    examples = digits.training.take(np.arange(20))
    settings = {"size": 32, "classes": 10, "augmentation": augmentation}
    whole = batches(examples, epochs=range(3), **settings)
    later = batches(examples, epochs=range(2, 3), **settings)
    assert len(later) == 5
    for (ours, labels), (theirs, others) in zip(whole[10:], later, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(labels, others)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_eager_and_pipeline_views_are_equal(augmentation, digits):
    image = digits.training.images[3]
    seed = tf.constant([1, 2])
    eager = training_view(tf.constant(image), 24, 0.875, augmentation, seed)
    view = tf.autograph.experimental.do_not_convert(lambda x: training_view(x, 24, 0.875, augmentation, seed))
    mapped = tf.data.Dataset.from_tensors(image).map(view)
    np.testing.assert_allclose(next(iter(mapped)), eager, atol=1e-4)
    assert eager.shape == (24, 24, 3)
    assert eager.dtype == tf.float32
    assert np.min(eager) >= 0 and np.max(eager) <= 255


def test_flips_happen_half_of_the_time_and_are_mirrors():
    image = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    views = [
        training_view(tf.constant(image), 8, 1.0, Augmentation(flip=True), tf.constant([0, n])) for n in range(100)
    ]
    mirrored = [bool(np.array_equal(view, image[:, ::-1])) for view in views]
    assert all(flipped or np.array_equal(view, image) for flipped, view in zip(mirrored, views, strict=True))
    assert 30 < sum(mirrored) < 70


def test_pad_and_crop_moves_by_at_most_the_padding():
    image = np.zeros((8, 8, 3), np.uint8)
    image[4, 4] = 200
    views = [training_view(tf.constant(image), 8, 1.0, Augmentation(pad=2), tf.constant([0, n])) for n in range(200)]
    positions = {tuple(np.argwhere(np.asarray(view)[..., 0])[0]) for view in views}
    assert positions == {(row, column) for row in range(2, 7) for column in range(2, 7)}


def test_crops_cover_their_share_of_the_area():
    # A horizontal ramp: the difference between the edges of a view is the width of its crop.
    image = np.broadcast_to(np.linspace(0, 250, 64)[None, :, None], (64, 64, 3)).astype(np.uint8)
    augmentation = Augmentation(scale=(0.25, 0.5), ratio=(1.0, 1.0))
    views = [training_view(tf.constant(image), 16, 1.0, augmentation, tf.constant([0, n])).numpy() for n in range(100)]
    widths = np.array([(view[8, -1, 0] - view[8, 0, 0]) / 250 * 16 / 15 for view in views])
    assert widths.min() > 0.45 and widths.max() < 0.76
    assert widths.max() - widths.min() > 0.1


def test_the_evaluation_view_is_the_center():
    image = np.zeros((80, 120, 3), np.uint8)
    image[:, 20:100] = 100
    image[30:50, 50:70] = 255
    view = evaluation_view(tf.constant(image), 80, 1.0).numpy()
    np.testing.assert_array_equal(view, image[:, 20:100])
    inner = evaluation_view(tf.constant(image), 40, 0.5).numpy()
    np.testing.assert_array_equal(inner, image[20:60, 40:80])


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (37, 53)])
def test_images_of_any_size_fit(shape):
    view = evaluation_view(tf.zeros((*shape, 3), tf.uint8), 24, 0.875)
    assert view.shape == (24, 24, 3)


def test_files_are_read_once_each_in_order(photographs):
    examples = data.load(photographs).validation
    batches = list(evaluation_batches(examples, classes=2, size=64, crop_fraction=0.875, batch_size=3))
    full, rest = divmod(len(examples), 3)
    assert [len(images) for images, _ in batches] == [3] * full + [rest] * bool(rest)
    labels = np.concatenate([labels.numpy() for _, labels in batches])
    np.testing.assert_array_equal(labels.argmax(axis=1), examples.labels)
    images = np.concatenate([images.numpy() for images, _ in batches])
    alone = views_of([read_image(path) for path in examples.paths], 64, 0.875)
    assert examples.plain.all()
    # TensorFlow's JPEG decoder rounds a little differently from Pillow's.
    assert np.abs(images - alone).mean() < 1.5


def test_pillow_reads_other_files(tmp_path):
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for number in range(3):
            color = (60 * number, 200 if kind == "a" else 20, 90)
            Image.new("RGB", (20, 20), color).save(tmp_path / kind / f"{number}.webp", lossless=True)
    examples = data.load(tmp_path).training
    assert not examples.plain.any()
    [(images, labels)] = evaluation_batches(examples, classes=2, size=8, crop_fraction=1.0, batch_size=9)
    for image, label in zip(images.numpy(), labels.numpy().argmax(axis=1), strict=True):
        assert image[4, 4, 1] == (200, 20)[label]


# Start steps, workers, caches and weights


def equal(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        for value, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(value, expected)


EVERYTHING = Augmentation(
    scale=(0.3, 1.0),
    flip=True,
    brightness=0.3,
    pca_lighting=0.1,
    random_erasing=0.5,
    rand_augment=1,
    mixup=0.2,
    cutmix=1.0,
)


@pytest.fixture(scope="module")
def three_epochs(digits):
    """Computes the batches of three epochs with every augmentation."""
    settings = {"size": 16, "classes": 10, "augmentation": EVERYTHING, "epochs": range(1, 4)}
    return functools.partial(batches, digits.training.take(np.arange(21)), **settings)


@pytest.fixture(scope="module")
def every_step(three_epochs):
    return three_epochs(parallel_calls=1)


@pytest.mark.parametrize("start_step", [0, 7, *(pytest.param(step, marks=slow) for step in (1, 4, 5, 14))])
def test_any_step_can_be_the_first(start_step, three_epochs, every_step):
    assert len(every_step) == 15
    equal(three_epochs(start_step=start_step, parallel_calls=3), every_step[start_step:])


def test_a_start_step_after_the_end_is_rejected(digits):
    with mentioning(InputError, "start_step", "0 to 10", 11):
        batches(numbered(20), start_step=11)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_share_the_batches_of_one(workers):
    settings = {"augmentation": Augmentation(pad=1, flip=True), "epochs": range(3)}
    together = batches(numbered(40), batch_size=4 * workers, **settings)
    alone = [batches(numbered(40), worker=worker, workers=workers, **settings) for worker in range(workers)]
    assert {len(shard) for shard in alone} == {len(together)} == {40 // (4 * workers) * 3}
    for step, (images, labels) in enumerate(together):
        np.testing.assert_array_equal(np.concatenate([shard[step][0] for shard in alone]), images)
        np.testing.assert_array_equal(np.concatenate([shard[step][1] for shard in alone]), labels)


def test_unknown_workers_and_too_few_images_are_rejected():
    with mentioning(InputError, "worker 2", "of 2"):
        batches(numbered(20), worker=2, workers=2)
    with mentioning(InputError, "batch size", "at most 10"):
        batches(numbered(20), batch_size=11, workers=2)


@pytest.mark.parametrize("count", [7, 8, 9, 12, 13, 16, 17])
@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=slow)])
def test_evaluation_is_split_once_each_in_equal_steps(count, workers):
    settings = {"classes": 3, "size": 8, "crop_fraction": 1.0, "batch_size": 4, "workers": workers}
    datasets = [evaluation_batches(numbered(count), worker=worker, **settings) for worker in range(workers)]
    shards = [list(dataset) for dataset in datasets]
    assert len({len(shard) for shard in shards}) == 1
    assert [dataset.cardinality() for dataset in datasets] == [len(shard) for shard in shards]
    assert all(0 < len(images) <= 4 for shard in shards for images, _ in shard)
    seen = [int(image[0, 0, 0]) for shard in shards for images, _ in shard for image in images]
    assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_the_number_of_batches_is_known(mixup):
    settings = {"classes": 3, "size": 8, "crop_fraction": 1.0, "batch_size": 4}
    training = training_batches(
        numbered(22), **settings, augmentation=Augmentation(mixup=mixup), seed=0, epochs=range(3), start_step=2
    )
    assert training.cardinality() == 3 * 5 - 2 == len(list(training))
    assert training.element_spec[0].shape == (4, 8, 8, 3)
    assert evaluation_batches(numbered(22), **settings).cardinality() == 6


def test_no_thread_delays_the_end_of_an_iteration():
    """TensorFlow's autotuning does: deleting an iterator waits for a thread that may sleep as long as it ran."""
    view = {"classes": 3, "size": 8, "crop_fraction": 1.0, "batch_size": 4}
    pipelines = [
        training_batches(numbered(20), augmentation=Augmentation(), seed=5, epochs=range(2), **view),
        evaluation_batches(numbered(20), **view),
        crop_batches(numbered(20), "10 crops", (8,), 8),
    ]
    assert [pipeline.options().autotune.enabled for pipeline in pipelines] == [False] * 3


MANY_CALLS = """
import threading

import tensorflow as tf

from kerascnn.data.pipeline.autotuning import without_autotuning

together = threading.Barrier(20)

def wait(number):
    together.wait(timeout=60)
    return number

cores = tf.data.Options()
cores.threading.private_threadpool_size = 20
numbers = tf.data.Dataset.range(20).with_options(cores)
numbers = numbers.map(lambda one: tf.numpy_function(wait, [one], tf.int64), num_parallel_calls=tf.data.AUTOTUNE)
assert list(without_autotuning(numbers).as_numpy_iterator()) == list(range(20))
"""


@slow
def test_many_cores_are_all_used():
    """TensorFlow makes 16 calls at once, unless an option asks for more.

    In a process of its own: where a training has asked for deterministic kernels, TensorFlow calls Python one by one.
    """
    subprocess.run([sys.executable, "-c", MANY_CALLS], check=True, timeout=120)


@slow
def test_fitting_ends_without_warnings(tmp_path):
    program = """
import keras, numpy as np
from kerascnn.data import ArrayExamples, Augmentation
from kerascnn.data.pipeline.pipeline import evaluation_batches, training_batches
examples = ArrayExamples(np.zeros((22, 8, 8, 3), np.uint8), np.arange(22) % 3)
views = {"classes": 3, "size": 8, "crop_fraction": 1.0, "batch_size": 4}
training = training_batches(examples, **views, augmentation=Augmentation(), seed=0, epochs=range(2))
model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
model.compile("sgd", "categorical_crossentropy")
model.fit(training, validation_data=evaluation_batches(examples, **views), epochs=2, steps_per_epoch=5, verbose=0)
"""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "OUT_OF_RANGE" not in ended.stderr and "ran out of data" not in ended.stderr


def test_class_weights_balance_the_classes():
    examples = numbered(12)
    examples = ArrayExamples(examples.images, np.array([0] * 6 + [1] * 4 + [2] * 2))
    weights = data.DataSet("few", "few", ("a", "b", "c"), examples, examples).class_weights()
    # 12 images in 3 classes are 4 per class.
    np.testing.assert_allclose(weights, [4 / 6, 4 / 4, 4 / 2])
    weighted = training_batches(
        examples,
        classes=3,
        size=8,
        crop_fraction=1.0,
        augmentation=Augmentation(),
        batch_size=4,
        seed=5,
        epochs=range(1),
        class_weights=weights,
    )
    totals = np.zeros(3)
    for _, labels, weight in weighted:
        np.testing.assert_allclose(weight, labels.numpy() @ weights)
        totals += labels.numpy().T @ weight.numpy()
    np.testing.assert_allclose(totals, [4, 4, 4], rtol=1e-6)


def test_a_class_without_training_images_has_weight_0():
    examples = ArrayExamples(np.zeros((3, 8, 8, 3), np.uint8), np.array([0, 0, 2]))
    weights = data.DataSet("few", "few", ("a", "b", "c"), examples, examples).class_weights()
    np.testing.assert_allclose(weights, [3 / 4, 0, 3 / 2])


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(scale=(0.1, 1.0)),
        pytest.param(Augmentation(resize_range=(48, 90)), marks=slow),
        pytest.param(Augmentation(flip=True), marks=slow),
    ],
)
@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_cached_images_are_the_same_images(cache, augmentation, mixed, tmp_path):
    settings = {"size": 48, "classes": 2, "crop_fraction": 0.875, "augmentation": augmentation}
    cached = batches(mixed.training, cache=cache, cache_folder=tmp_path, **settings)
    equal(cached, batches(mixed.training, **settings))
    views = {"classes": 2, "size": 48, "crop_fraction": 0.875, "batch_size": 4}
    equal(
        evaluation_batches(mixed.training, cache=cache, cache_folder=tmp_path, **views),
        evaluation_batches(mixed.training, **views),
    )


def test_a_cache_on_disk_is_used_again_until_a_file_changes(mixed, tmp_path):
    settings = {"size": 32, "classes": 2}
    first = batches(mixed.training, cache="disk", cache_folder=tmp_path / "cache", **settings)
    cached = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert len(cached) == 2
    equal(batches(mixed.training, cache="disk", cache_folder=tmp_path / "cache", **settings), first)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == cached
    os.utime(mixed.training.paths[0])
    batches(mixed.training, cache="disk", cache_folder=tmp_path / "cache", **settings)
    assert len(list((tmp_path / "cache").iterdir())) == 4


@pytest.mark.parametrize("suffix", [".pixels", ".npy"])
@pytest.mark.parametrize("contents", [b"", b"damaged", bytes(10**5)], ids=["empty", "short", "other"])
def test_a_damaged_cache_is_made_anew(mixed, tmp_path, suffix, contents):
    settings = {"size": 32, "classes": 2, "cache": "disk", "cache_folder": tmp_path}
    first = batches(mixed.training, **settings)
    [file] = tmp_path.glob(f"*{suffix}")
    whole = file.read_bytes()
    file.write_bytes(contents)
    equal(batches(mixed.training, **settings), first)
    assert file.read_bytes() == whole


def test_images_in_memory_may_be_larger_than_the_first(mixed, monkeypatch):
    monkeypatch.setattr("kerascnn.data.pipeline.cache.SAMPLE", 1)
    examples = mixed.training.take(np.argsort([os.path.getsize(path) for path in mixed.training.paths]))
    equal(batches(examples, size=32, classes=2, cache="memory"), batches(examples, size=32, classes=2))


def test_a_cache_without_room_is_an_error(mixed, monkeypatch):
    monkeypatch.setattr("kerascnn.data.pipeline.cache.MEMORY_SHARE", 1e-6)
    with mentioning(InputError, "memory", f"{len(mixed.training)} images", "'disk'", "'none'"):
        batches(mixed.training, cache="memory")
    with mentioning(InputError, "cache_folder"):
        batches(mixed.training, cache="disk")
    with mentioning(InputError, "'memory'", "'disk'", "'none'", "'ram'"):
        batches(mixed.training, cache="ram")


@pytest.mark.parametrize("sampling", [0, 1, 2], ids=["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}, {"restart_marker_rows": 1}])
def test_a_decoded_window_is_the_same_part_of_the_image(sampling, options, tmp_path):
    """The decoder interpolates colors across the window's edge, for which it needs the next column."""
    pixels = np.random.default_rng(sampling).integers(0, 256, (61, 83, 3)).astype(np.uint8)
    path = tmp_path / "noise.jpg"
    Image.fromarray(pixels).save(path, subsampling=sampling, **options)
    read = reader(FileExamples(np.array([str(path)], object), np.array([True]), np.array([0])))
    image = read(tf.constant(0), whole).numpy()
    assert image.shape == pixels.shape
    generator = np.random.default_rng(5)
    for _ in range(60):
        top, left = generator.integers(0, 61), generator.integers(0, 83)
        height, width = generator.integers(1, 62 - top), generator.integers(1, 84 - left)
        window = CropWindow(tf.constant([top, left], tf.int32), tf.constant([height, width], tf.int32))
        part = read(tf.constant(0), lambda shape, window=window: window).numpy()
        np.testing.assert_array_equal(part, image[top : top + height, left : left + width])


def test_files_are_read_as_by_pillow(photographs):
    """So training sees bit-exact the pixels that prediction sees."""
    examples = data.load(photographs).validation
    read = reader(examples)
    for number, path in enumerate(examples.paths):
        np.testing.assert_array_equal(read(tf.constant(number), whole), read_image(path))


def test_a_resize_range_below_the_size_is_rejected():
    with mentioning(InputError, "8 or more"):
        batches(numbered(8), augmentation=Augmentation(resize_range=(6, 12)))
