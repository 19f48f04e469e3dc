"""The augmentation settings of a recipe, and the views of an image that they give; all randomness follows a seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from kerascnn.data.augment import color, crops
from kerascnn.data.augment.crops import CropWindow, Resize
from kerascnn.data.augment.rand_augment import MAX_MAGNITUDE, rand_augment
from kerascnn.data.pipeline.decode import Reduction
from kerascnn.errors import InputError, is_real
from kerascnn.image_shape import ImageSize, Size
from kerascnn.lazy_tensorflow import tf

FloatRange = tuple[float, float]


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training images, applied in this order.

    Attributes:
        scale: least and greatest share of the image's area that a random crop covers before it is resized
            (GoogLeNet, section 6: 8 % to 100 %); None keeps the evaluation crop.
        ratio: least and greatest width over height of that crop, for a square image size; for another, over the width
            over height of that size.
        resize_range: least and greatest length in pixels that the shorter side is resized to before a crop of the
            image size is cut at random (AlexNet: 256 and 256; VGG: 256 and 512; ResNet: 256 and 480). If the image size
            is not square, the image is resized to cover a rectangle of its proportions, whose shorter side this is. It
            excludes `scale`.
        resize: how crops are resized. "bilinear" interpolates between four pixels where a crop is less than twice the
            image size, which hardly aliases, and averages all pixels of larger crops; JPEG files far larger than any
            crop needs are reduced while they are decoded. "antialias" weights all pixels in every case and takes more
            than twice as long.
        pad: zeros, in pixels, around the resized image, from which a window of its size is cut at random (ResNet on
            CIFAR, section 4.2: 4).
        flip: whether half of the images are mirrored left to right.
        rand_augment: how many operations RandAugment applies.
        rand_augment_magnitude: how strongly, from 0 to 30.
        brightness, contrast, saturation: how far their factors go from 1.
        hue: largest rotation of the hue, as a share of the color circle, at most 0.5.
        pca_lighting: standard deviation of the noise along the principal components of color (AlexNet, section 4.1:
            0.1).
        random_erasing: share of the images in which a rectangle becomes noise.
        erasing_scale: least and greatest share of the image that the rectangle covers.
        erasing_ratio: least and greatest height over width of the rectangle.
        mixup: alpha of Mixup, over batches; 0 for none.
        cutmix: alpha of CutMix, over batches; 0 for none. With both, each batch gets one of them at random.
        mix_from: the fewest training images with which a training uses Mixup and CutMix; with fewer it needs every
            clean label.

    Raises:
        InputError: a value is outside its range, or both `scale` and `resize_range` are given.
    """

    scale: FloatRange | None = None
    ratio: FloatRange = (3 / 4, 4 / 3)
    resize_range: tuple[int, int] | None = None
    resize: Resize = "bilinear"
    pad: int = 0
    flip: bool = False
    rand_augment: int = 0
    rand_augment_magnitude: float = 9.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    pca_lighting: float = 0.0
    random_erasing: float = 0.0
    erasing_scale: FloatRange = (0.02, 0.33)
    erasing_ratio: FloatRange = (0.3, 10 / 3)
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_from: int = 300

    def __post_init__(self):
        if self.scale and self.resize_range:
            raise InputError("augmentation.scale and augmentation.resize_range exclude each other; set one of them.")
        if self.resize not in ("bilinear", "antialias"):
            raise InputError(f"augmentation.resize must be 'bilinear' or 'antialias', not '{self.resize}'.")
        for name, greatest in MAXIMA.items():
            value = getattr(self, name)
            if not (is_real(value) and 0 <= value <= greatest):
                bound = f"from 0 to {greatest:g}" if greatest < math.inf else "at least 0"
                raise InputError(f"augmentation.{name} must be {bound}, not {value!r}.")
        for name, greatest in RANGE_MAXIMA.items():
            value = getattr(self, name)
            if value is not None and not (_is_pair(value) and 0 < value[0] <= value[1] <= greatest):
                bound = f", the greater at most {greatest:g}" if greatest < math.inf else ""
                raise InputError(f"augmentation.{name} must be two numbers above 0 in order{bound}, not {value}.")

    @property
    def mixes(self) -> bool:
        """Whether labels are shares of several classes."""
        return bool(self.mixup or self.cutmix)

    def for_images(self, count: int) -> Augmentation:
        """The same for so many training images: without Mixup and CutMix if there are too few."""
        return replace(self, mixup=0.0, cutmix=0.0) if count < self.mix_from else self


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(is_real, value))


MAXIMA = {
    **dict.fromkeys(("pad", "rand_augment", "pca_lighting", "mixup", "cutmix", "mix_from"), math.inf),
    **dict.fromkeys(("brightness", "contrast", "saturation", "random_erasing"), 1.0),
    "rand_augment_magnitude": MAX_MAGNITUDE,
    "hue": 0.5,
}
RANGE_MAXIMA = {
    **dict.fromkeys(("scale", "erasing_scale"), 1.0),
    **dict.fromkeys(("ratio", "resize_range", "erasing_ratio"), math.inf),
}


def evaluation_view(image: tf.Tensor, size: Size, crop_fraction: float) -> tf.Tensor:
    """The view of an image that evaluation and prediction use: shorter side resized, center cut out.

    The image is uint8 or float (height, width, channels) in [0, 255], the view float32 of that size in [0, 255].
    `crop_fraction` is the shorter side of `size` over the length that it is cut from: the image is resized to cover a
    rectangle of the proportions of `size` whose shorter side has that length.
    """
    size = ImageSize.of(size)
    # A crop cannot be larger than what it is cut from.
    image = crops.covering(image, size.frame(max(round(size.shorter / crop_fraction), size.shorter)))
    top, left = tf.unstack((tf.shape(image)[:2] - size) // 2)
    image = image[top : top + size.height, left : left + size.width]
    return tf.ensure_shape(image, (*size, image.shape[2]))


def training_window(shape: tf.Tensor, size: Size, augmentation: Augmentation, seed: tf.Tensor) -> CropWindow | None:
    """The part of an image of int32 (height, width) that a view of this size shows, or None for all of it."""
    seed, size = _seeds(seed)[0], ImageSize.of(size)
    if augmentation.scale:
        least, greatest = (ratio * size.width / size.height for ratio in augmentation.ratio)
        return crops.area_window(shape, augmentation.scale, (least, greatest), seed)
    if augmentation.resize_range:
        return crops.scaled_window(shape, size, augmentation.resize_range, seed)
    return None


def reduction_for(augmentation: Augmentation, size: Size) -> Reduction | None:
    """How far images may be reduced before `training_window` is chosen, or None for not at all."""
    size = ImageSize.of(size)
    if augmentation.resize == "antialias":
        return None
    if augmentation.scale:
        narrowest = min(augmentation.ratio[0], 1 / augmentation.ratio[1])
        return Reduction(math.sqrt(math.prod(size)), share_of_area=math.sqrt(augmentation.scale[0] * narrowest))
    if augmentation.resize_range:
        return Reduction(max(size), share_of_side=size.shorter / augmentation.resize_range[1])
    return None


def view_of_crop(
    crop: tf.Tensor, size: Size, crop_fraction: float, augmentation: Augmentation, seed: tf.Tensor
) -> tf.Tensor:
    """A random view of an image, from the pixels inside its `training_window`, in the forms of `evaluation_view`.

    The seed, int32 (2,), is that of the window; the same seed gives the same view.
    """
    _, pad_seed, flip_seed, policy_seed, jitter_seed, noise_seed, erasing_seed = _seeds(seed)
    if augmentation.scale or augmentation.resize_range:
        image = crops.resized(crop, size, augmentation.resize)
    else:
        image = evaluation_view(crop, size, crop_fraction)
    if augmentation.pad:
        image = crops.padded_crop(image, augmentation.pad, pad_seed)
    if augmentation.flip:
        image = tf.image.stateless_random_flip_left_right(image, flip_seed)
    if augmentation.rand_augment:
        image = rand_augment(image, augmentation.rand_augment, augmentation.rand_augment_magnitude, policy_seed)
    jitter = (augmentation.brightness, augmentation.contrast, augmentation.saturation, augmentation.hue)
    if any(jitter):
        image = color.color_jitter(image, jitter, jitter_seed)
    if augmentation.pca_lighting:
        image = color.pca_lighting(image, augmentation.pca_lighting, noise_seed)
    if augmentation.random_erasing:
        ranges = augmentation.erasing_scale, augmentation.erasing_ratio
        return crops.random_erasing(image, augmentation.random_erasing, *ranges, erasing_seed)
    return image


def _seeds(seed: tf.Tensor) -> list[tf.Tensor]:
    """One seed per step, in the order of the steps; a step appended at the end leaves the other seeds unchanged."""
    return tf.unstack(tf.random.split(seed, 7))
