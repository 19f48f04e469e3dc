"""Large JPEG files, reduced while they are decoded, and the quality of crops that bilinear resizing gives."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn.data.augment import crops
from kerascnn.data.augment.augmentation import Augmentation, reduction_for, training_window
from kerascnn.data.augment.crops import CropWindow
from kerascnn.data.dataset import FileExamples
from kerascnn.data.pipeline.decode import RATIOS, Reduction, reader, whole
from kerascnn.data.pipeline.pipeline import training_batches


def natural(height, width, seed=0):
    """An image whose amplitudes fall with frequency as those of photographs do, uint8 (height, width, 3)."""
    generator = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])[..., None]
    phases = np.exp(2j * np.pi * generator.random((*frequency.shape[:2], 1)) + 0.3j * generator.random(3))
    amplitudes = np.maximum(frequency, 1 / max(height, width)) ** -1.4
    values = np.fft.irfft2(phases * amplitudes, (height, width), axes=(0, 1))
    return np.clip(128 + 50 * values / values.std(), 0, 255).astype(np.uint8)


def saved(path, pixels, **options):
    Image.fromarray(pixels).save(path, "JPEG", **{"quality": 92, **options})
    return path


def examples_of(*paths):
    count = len(paths)
    return FileExamples(np.array([str(path) for path in paths], object), np.ones(count, bool), np.arange(count) % 2)


def psnr(one, other):
    """Peak signal to noise ratio in dB."""
    return 10 * np.log10(255**2 / np.mean((np.asarray(one, float) - np.asarray(other, float)) ** 2))


@pytest.mark.parametrize(
    ("shorter", "ratio"), [(90, 1), (511, 1), (512, 2), (1023, 2), (1024, 4), (2047, 4), (2048, 8), (9000, 8)]
)
def test_reduction_keeps_a_shorter_side_of_256(shorter, ratio):
    reduction = reduction_for(Augmentation(resize_range=(240, 256)), 224)
    assert RATIOS[int(reduction.step(tf.constant([shorter * 2, shorter])))] == ratio


@pytest.mark.parametrize("shape", [(300, 400), (1200, 1600), (4000, 3000), (700, 9000)])
@pytest.mark.parametrize("aspect", [(3 / 4, 4 / 3), (1.5, 2.0), (0.2, 0.5)])
def test_reduction_leaves_every_crop_the_pixels_of_its_view(shape, aspect):
    augmentation = Augmentation(scale=(0.08, 0.5), ratio=aspect)
    ratio = RATIOS[int(reduction_for(augmentation, 64).step(tf.constant(shape)))]
    reduced = -(-np.array(shape) // ratio)
    if ratio == 1:
        return
    for number in range(50):
        _, extent = training_window(tf.constant(reduced, tf.int32), 64, augmentation, tf.constant([3, number]))
        # Sides are rounded to pixels.
        assert np.min(extent) >= 63


def test_antialias_and_padding_decode_all_pixels():
    assert reduction_for(Augmentation(scale=(0.5, 1.0), resize="antialias"), 64) is None
    assert reduction_for(Augmentation(pad=4, flip=True), 64) is None


@pytest.mark.parametrize("ratio", RATIOS[1:])
@pytest.mark.parametrize("sampling", [0, 1, 2], ids=["4:4:4", "4:2:2", "4:2:0"])
def test_a_window_of_a_reduced_image_is_that_part_of_it(sampling, ratio, tmp_path):
    pixels = np.random.default_rng(sampling).integers(0, 256, (161, 203, 3)).astype(np.uint8)
    path = saved(tmp_path / "noise.jpg", pixels, subsampling=sampling)
    # Sides over 20: 161 // 20 = 8.
    read = reader(examples_of(path), Reduction(size=160 // ratio, share_of_side=1.0))
    image = read(tf.constant(0), whole).numpy()
    height, width = -(-161 // ratio), -(-203 // ratio)
    assert image.shape == (height, width, 3)
    contents = path.read_bytes()
    expected = tf.io.decode_jpeg(contents, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")
    np.testing.assert_array_equal(image, expected)
    generator = np.random.default_rng(5)
    for _ in range(30):
        top, left = generator.integers(0, height), generator.integers(0, width)
        extent = [generator.integers(1, height - top + 1), generator.integers(1, width - left + 1)]
        window = CropWindow(tf.constant([top, left], tf.int32), tf.constant(extent, tf.int32))
        part = read(tf.constant(0), lambda shape, window=window: window).numpy()
        np.testing.assert_array_equal(part, image[top : top + extent[0], left : left + extent[1]])


@pytest.mark.parametrize("ratio", RATIOS[1:])
def test_the_decoder_reduces_as_averaging_does(ratio, tmp_path):
    pixels = natural(256, 384)
    contents = saved(tmp_path / "natural.jpg", pixels).read_bytes()
    reduced = tf.io.decode_jpeg(contents, channels=3, ratio=ratio).numpy()
    full = tf.io.decode_jpeg(contents, channels=3).numpy().astype(float)
    averaged = full.reshape(256 // ratio, ratio, 384 // ratio, ratio, 3).mean(axis=(1, 3))
    assert psnr(reduced, averaged) > 42


@pytest.mark.parametrize("side", [70, 96, 128, 150, 250, 500])
def test_bilinear_is_closer_to_lanczos_than_antialias(side):
    size, pixels = 64, natural(side, side)
    best = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS))
    fast, exact = (crops.resized(tf.constant(pixels), size, resize) for resize in ("bilinear", "antialias"))
    assert psnr(fast, best) > psnr(exact, best)


@pytest.fixture(scope="module")
def large_files(tmp_path_factory):
    """Photograph-like files that crops of 32 pixels decode at a half and a quarter, and one that they do not reduce."""
    folder = tmp_path_factory.mktemp("large")
    shapes = [(400, 300), (200, 320), (150, 150), (90, 60)]
    return examples_of(
        *(saved(folder / f"{number}.jpg", natural(*shape, seed=number)) for number, shape in enumerate(shapes))
    )


CROPS = {"scale": (0.25, 1.0)}


def views(examples, size=32, crops=CROPS, **settings):
    settings |= {"classes": 2, "crop_fraction": 0.875, "batch_size": 4, "seed": 1, "epochs": range(3)}
    batches = training_batches(examples, size=size, augmentation=Augmentation(**crops, flip=True), **settings)
    return np.concatenate([images.numpy() for images, _ in batches])


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_cached_images_are_the_reduced_ones(cache, large_files, tmp_path):
    np.testing.assert_array_equal(views(large_files, cache=cache, cache_folder=tmp_path), views(large_files))
    if cache == "disk":
        # Three of the four are cached at a quarter, a half and a half of their sides.
        shapes = np.load(next(tmp_path.glob("*.npy")))
        assert shapes.tolist() == [[100, 75], [100, 160], [75, 75], [90, 60]]
        np.testing.assert_array_equal(
            views(large_files, size=48, cache=cache, cache_folder=tmp_path), views(large_files, size=48)
        )


def test_views_of_reduced_files_resemble_those_of_all_pixels(large_files):
    crops = {"resize_range": (40, 40)}
    reduced, exact = (views(large_files, crops={**crops, "resize": resize}) for resize in ("bilinear", "antialias"))
    # Windows begin at whole decoded pixels, so they differ by up to half a pixel of the view.
    assert psnr(reduced, exact) > 22
    assert np.abs(reduced.mean(axis=(1, 2)) - exact.mean(axis=(1, 2))).max() < 6
