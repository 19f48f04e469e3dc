"""The built-in data set: small real images of handwritten digits that need no network connection."""

from __future__ import annotations

import numpy as np

from kerascnn.data.dataset import ArrayExamples, DataSet

SIZE = 32
VALIDATION_SHARE = 0.2


def load_digits() -> DataSet:
    """scikit-learn's copy of the UCI optical digits, 1,797 images of 8 x 8 in 17 grays, enlarged to 32 x 32 x 3.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
    The split into 1,437 training and 360 validation images is stratified and always the same.
    """
    from PIL import Image
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    digits = datasets.load_digits()
    grays = np.round(digits.images * (255 / 16)).astype(np.uint8)
    large = [Image.fromarray(gray).resize((SIZE, SIZE), Image.Resampling.BILINEAR) for gray in grays]
    images = np.repeat(np.stack([np.asarray(image) for image in large])[..., None], 3, axis=-1)
    split = train_test_split(images, digits.target, test_size=VALIDATION_SHARE, stratify=digits.target, random_state=0)
    training_images, validation_images, training_labels, validation_labels = split
    return DataSet(
        name="digits",
        source="digits",
        class_names=tuple(str(digit) for digit in digits.target_names),
        training=ArrayExamples(training_images, training_labels),
        validation=ArrayExamples(validation_images, validation_labels),
        allows_horizontal_flip=False,
    )
