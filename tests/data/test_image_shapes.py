"""Images that are gray or not square, from the file to the view, compared with NumPy and Pillow."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import data
from kerascnn.data import ArrayExamples, Augmentation, FileExamples
from kerascnn.data.augment import color
from kerascnn.data.augment.augmentation import evaluation_view, reduction_for, training_window, view_of_crop
from kerascnn.data.augment.crops import CropWindow
from kerascnn.data.augment.rand_augment import OPERATIONS
from kerascnn.data.ingestion.image_formats import read_image
from kerascnn.data.pipeline.cache import cached_reader
from kerascnn.data.pipeline.channels import with_channels
from kerascnn.data.pipeline.decode import Reduction, reader, whole
from kerascnn.data.pipeline.pipeline import training_batches
from kerascnn.data.pipeline.view_arrays import views_of
from kerascnn.errors import InputError
from kerascnn.evaluation.crops import crops
from kerascnn.image_shape import ImageSize

SEED = tf.constant([3, 5])
SIZE = (24, 40)


def pixels(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Coarse noise: edges, and colors at and beyond the limits of a JPEG."""
    generator = np.random.default_rng(height)
    small = generator.integers(0, 256, (height // 8 + 1, width // 8 + 1, channels), dtype=np.uint8)
    return small.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> FileExamples:
    """Files that TensorFlow decodes (two JPEG), and that Pillow decodes."""
    folder = tmp_path_factory.mktemp("files")
    image = Image.fromarray(pixels(70, 90))
    image.save(folder / "0.jpg", quality=70)
    image.convert("L").save(folder / "1.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "2.jpg", exif=exif)
    image.convert("CMYK").save(folder / "3.jpg")
    image.convert("RGBA").rotate(20).save(folder / "4.png")
    Image.fromarray(pixels(70, 90, 1)[..., 0].astype(np.uint16) * 257).save(folder / "5.png")
    image.convert("L").save(folder / "6.png")
    paths = sorted(map(str, folder.iterdir()))
    return FileExamples(np.array(paths), np.arange(len(paths)) < 2, np.arange(len(paths)) % 2)


def luma(path: str) -> np.ndarray:
    return np.asarray(Image.fromarray(read_image(path)).convert("L"))[..., None]


def window(shape: tf.Tensor) -> CropWindow:
    return CropWindow(tf.constant([3, 5]), tf.constant([20, 31]))


def read_all(read, examples, choose=whole) -> list[np.ndarray]:
    part = tf.autograph.experimental.do_not_convert(lambda number: read(tf.cast(number, tf.int32), choose))
    numbers = tf.data.Dataset.range(len(examples)).map(part)
    return list(numbers.as_numpy_iterator())


def test_gray_is_pillows_luma_by_either_decoder(files):
    for choose, part in ((whole, np.s_[:, :]), (window, np.s_[3:23, 5:36])):
        for image, path in zip(read_all(reader(files, channels=1), files, choose), files.paths, strict=True):
            np.testing.assert_array_equal(image, luma(path)[part], err_msg=path)


def test_gray_images_are_the_same_from_caches_records_and_arrays(files, tmp_path):
    expected = [luma(path) for path in files.paths]
    source = data.DataSet("gray", "gray", ("a", "b"), files, files)
    records = data.load_records(data.write_records(source, tmp_path / "records")).training
    readers = {
        "memory": cached_reader(files, "memory", channels=1),
        "disk": cached_reader(files, "disk", tmp_path, channels=1),
        "records": reader(records, channels=1),
    }
    for name, read in readers.items():
        for image, wanted in zip(read_all(read, files), expected, strict=True):
            np.testing.assert_array_equal(image, wanted, err_msg=name)
    # Another name in the cache than that of the images in color.
    assert read_all(cached_reader(files, "disk", tmp_path), files)[0].shape == (70, 90, 3)
    colors = ArrayExamples(np.stack([read_image(files.paths[0])]), np.zeros(1, int))
    np.testing.assert_array_equal(read_all(reader(colors, channels=1), colors)[0], expected[0])


def test_gray_arrays_are_read_stored_and_shown_in_color(tmp_path):
    gray = np.stack([pixels(20, 30, 1), pixels(20, 30, 1)[::-1]])
    examples = ArrayExamples(gray, np.array([0, 1]))
    assert read_all(reader(examples), examples)[1].shape == (20, 30, 3)
    source = data.DataSet("gray", "gray", ("a", "b"), examples, examples)
    records = data.load_records(data.write_records(source, tmp_path / "records")).validation
    for one in (examples, records):
        np.testing.assert_array_equal(read_all(reader(one), one), gray.repeat(3, axis=-1))
        np.testing.assert_array_equal(read_all(reader(one, channels=1), one), gray)


def test_jpegs_that_are_decoded_smaller_are_the_luma_of_the_smaller_image(files):
    reduction = Reduction(16, share_of_side=1.0)
    plain = files.take([0, 1])
    small = read_all(reader(plain, reduction), plain)
    for color_image, gray in zip(small, read_all(reader(plain, reduction, 1), plain), strict=True):
        assert gray.shape == (18, 23, 1)
        np.testing.assert_array_equal(gray[..., 0], Image.fromarray(color_image).convert("L"))


def test_luma_of_floats_and_of_three_equal_channels():
    image = pixels(10, 12, 1)
    np.testing.assert_array_equal(with_channels(tf.constant(image.repeat(3, axis=2)), 1), image)
    floats = image.repeat(3, axis=2) + np.float32(0.25)
    np.testing.assert_allclose(with_channels(tf.constant(floats), 1), image + 0.25, atol=1e-4)


@pytest.mark.parametrize("size", [(24, 40), (40, 24), (24, 25)])
@pytest.mark.parametrize("shape", [(70, 90), (90, 70), (33, 200), (50, 30)])
def test_views_are_pillows_resized_images_cut(size, shape):
    image, (height, width) = pixels(*shape, channels=1), size
    # The shorter side is cut from 27 pixels; the other in proportion.
    side = round(min(size) / 0.875)
    frame = [round(length * side / min(size)) for length in size]
    factor = max(frame[0] / shape[0], frame[1] / shape[1])
    tall, wide = (max(round(length * factor), least) for length, least in zip(shape, frame, strict=True))
    resized = Image.fromarray(image[..., 0].astype(np.float32)).resize((wide, tall), Image.Resampling.BILINEAR)
    top, left = (tall - height) // 2, (wide - width) // 2
    expected = np.asarray(resized)[top : top + height, left : left + width, None]
    view = evaluation_view(tf.constant(image), size, 0.875)
    np.testing.assert_allclose(view, expected, atol=0.01)
    np.testing.assert_array_equal(views_of([image.repeat(3, axis=2)], size, 0.875, 1)[0], view)


def test_views_at_the_images_own_scale_are_its_pixels():
    # 48 x 80 covers the frame of twice the size exactly.
    image = tf.constant(pixels(48, 100))
    np.testing.assert_array_equal(evaluation_view(image, SIZE, 0.5), image[12:36, 30:70])
    window = training_window(tf.constant([48, 100]), SIZE, Augmentation(resize_range=(48, 48)), SEED)
    np.testing.assert_array_equal(window.extent, SIZE)


def test_random_windows_have_the_views_proportions_and_enough_pixels():
    generator = np.random.default_rng(0)
    for number in range(40):
        shape = generator.integers(30, 400, 2)
        for augmentation in (Augmentation(resize_range=(24, 60)), Augmentation(scale=(0.08, 1.0))):
            reduction = reduction_for(augmentation, SIZE)
            ratio = 2 ** int(reduction.step(tf.constant(shape)))
            small = -(-shape // ratio)
            found = training_window(tf.constant(small, tf.int32), SIZE, augmentation, tf.constant([number, 1]))
            begin, extent = found.begin.numpy(), found.extent.numpy()
            assert (begin >= 0).all() and (begin + extent <= small).all()
            if augmentation.resize_range:
                assert abs(extent[1] * 24 / 40 - extent[0]) <= 1.5
                # The frame of 24 to 60 fits into the image, so the window is that share of the largest one.
                largest = min(small[0], small[1] * 24 / 40)
                assert largest * 24 / 60 - 1 <= extent[0] <= largest + 1
            if ratio > 1:
                assert (extent >= np.array(SIZE) - 1).all()
    ratios = []
    for number in range(100):
        found = training_window(tf.constant([240, 400]), SIZE, Augmentation(scale=(0.2, 0.5)), tf.constant([number, 2]))
        height, width = found.extent.numpy()
        ratios.append(width / height / (40 / 24))
    assert 0.73 < min(ratios) < 0.85 and 1.2 < max(ratios) < 1.36


def test_crops_too_small_for_the_view_are_refused():
    examples = ArrayExamples(np.zeros((2, 60, 60, 3), np.uint8), np.array([0, 1]))
    arguments = {"classes": 2, "size": SIZE, "crop_fraction": 1.0, "batch_size": 2, "seed": 0, "epochs": range(1)}
    with pytest.raises(InputError, match="24 x 40"):
        training_batches(examples, augmentation=Augmentation(resize_range=(20, 60)), **arguments)
    augmentation = Augmentation(resize_range=(24, 60), flip=True, pad=2, mixup=0.2, cutmix=1.0)
    [(images, labels)] = training_batches(examples, augmentation=augmentation, channels=1, **arguments)
    assert images.shape == (2, 24, 40, 1) and labels.shape == (2, 2)


def test_ten_crops_are_slices():
    image = np.arange(27 * 60, dtype=np.float32).reshape(27, 60, 1) % 251
    frame = image[:, 7:52]
    found = crops(tf.constant(image), 27, SIZE, "10 crops").numpy()
    slices = [frame[top : top + 24, left : left + 40] for top, left in ((0, 0), (0, 5), (3, 0), (3, 5), (1, 2))]
    np.testing.assert_array_equal(found, [*slices, *(one[:, ::-1] for one in slices)])
    np.testing.assert_array_equal(crops(tf.constant(image), 27, SIZE, "1 crop")[0], image[1:25, 10:50])


def test_144_crops_take_three_rectangles_along_the_side_with_room():
    landscape = np.arange(27 * 60, dtype=np.float32).reshape(27, 60, 1) % 251
    portrait = np.arange(60 * 45, dtype=np.float32).reshape(60, 45, 1) % 251
    for image, starts in ((landscape, [(0, 0), (0, 7), (0, 15)]), (portrait, [(0, 0), (16, 0), (33, 0)])):
        found = crops(tf.constant(image), 27, SIZE, "144 crops").numpy()
        assert found.shape == (36, 24, 40, 1)
        for crop, (top, left) in zip(found[::6], starts, strict=False):
            np.testing.assert_array_equal(crop, image[top : top + 24, left : left + 40])
        # The last of each six is the whole rectangle, resized: its mean is the rectangle's.
        for crop, (top, left) in zip(found[5::6], starts, strict=False):
            assert abs(crop.mean() - image[top : top + 27, left : left + 45].mean()) < 3


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_on_gray_is_that_on_three_equal_channels(name):
    image = tf.constant(pixels(24, 40, 1), tf.float32)
    gray = OPERATIONS[name](image, 0.6, 1.0)
    colored = OPERATIONS[name](tf.repeat(image, 3, axis=2), 0.6, 1.0)
    np.testing.assert_allclose(gray, colored[..., :1], atol=1e-3)


def test_changes_of_color_on_gray():
    image = tf.constant(pixels(24, 40, 1), tf.float32)
    in_color = tf.repeat(image, 3, axis=2)
    np.testing.assert_array_equal(color.hue(image, 0.3), image)
    np.testing.assert_array_equal(color.saturation(image, 1.7), image)
    np.testing.assert_allclose(color.contrast(image, 1.7), color.contrast(in_color, 1.7)[..., :1], atol=1e-3)
    shifted = color.pca_lighting(tf.fill((24, 40, 3), 128.0), 0.1, SEED)
    expected = tf.tensordot(shifted, (0.299, 0.587, 0.114), 1)[..., None]
    np.testing.assert_allclose(color.pca_lighting(tf.fill((24, 40, 1), 128.0), 0.1, SEED), expected, atol=1e-3)


def test_every_augmentation_on_gray_that_is_not_square():
    strong = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "pca_lighting": 0.1}
    augmentation = Augmentation(pad=2, flip=True, rand_augment=1, random_erasing=1.0, **strong)
    for changed in (augmentation, replace(augmentation, scale=(0.2, 1.0), resize="antialias")):
        view = view_of_crop(tf.constant(pixels(50, 60, 1)), SIZE, 0.875, changed, SEED)
        assert view.shape == (24, 40, 1) and view.numpy().min() >= 0 and view.numpy().max() <= 255
        assert view.numpy().std() > 1


def test_sizes():
    assert ImageSize.of(224) == ImageSize.of((224, 224)) == (224, 224)
    assert ImageSize.of((224, 224)).plain == 224 and ImageSize.of([240, 320]).plain == (240, 320)
    assert str(ImageSize(240, 320)) == "240 x 320" and ImageSize(24, 40).frame(27) == (27, 45)


def test_builtin_data_are_gray_without_loss(digits):
    """Their three channels are equal, so that one of them is all that there is."""
    examples = digits.validation.take(np.arange(3))
    images = read_all(reader(examples, channels=1), examples)
    np.testing.assert_array_equal(images, examples.images[..., :1])
