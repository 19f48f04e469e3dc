"""Builds the metadata of a `.tflite` file that Android's tools and MediaPipe read.

The field numbers are those of TensorFlow's metadata_schema.fbs (root table ModelMetadata, file identifier "M001").
Only fields of its version 1.0.0 are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kerascnn.evaluation.predictors import LABELS_FILE, METADATA_FILE, ModelMetadata
from kerascnn.export.metadata_buffer import Scalar, build_flatbuffer

IDENTIFIER = b"M001"
MIN_PARSER_VERSION = "1.0.0"

# Enumerations and unions of the schema.
TENSOR_AXIS_LABELS, RGB = Scalar("Int8", 2), Scalar("Int8", 1)
FEATURE_PROPERTIES, IMAGE_PROPERTIES = Scalar("Uint8", 1), Scalar("Uint8", 2)
NORMALIZATION_OPTIONS = Scalar("Uint8", 1)


@dataclass(frozen=True)
class ModelDescription:
    """Describes an exported model for the model card and the metadata.

    Attributes:
        name: of the model.
        description: a sentence or two, or None.
        author: who made it, or None.
        license: the terms of use, or None.
    """

    name: str
    description: str | None = None
    author: str | None = None
    license: str | None = None


def tflite_metadata(description: ModelDescription, metadata: ModelMetadata) -> bytes:
    """Builds a classifier's ModelMetadata as a FlatBuffer.

    The normalization has mean 0 and standard deviation 1, because the network scales pixels itself. The labels are in
    the associated file labels.txt.

    Args:
        description: name, description, author and license.
        metadata: class names and image size.

    Example:
        >>> tflite_metadata(ModelDescription("googlenet-pets"), metadata)[4:8]
        b'M001'
    """
    size, classes = metadata.image_size, len(metadata.class_names)
    side = Scalar("Uint32", size)
    pixels = {
        **_named("pixels", f"One RGB image of {size} x {size} pixels, values from 0 to 255, scaled by the network."),
        3: {0: IMAGE_PROPERTIES, 1: {0: RGB, 1: {0: side, 1: side}}},
        4: [{0: NORMALIZATION_OPTIONS, 1: {0: [0.0], 1: [1.0]}}],
        5: _range(255.0),
    }
    labels = _named(LABELS_FILE, "The names of the classes, one per line, in the order of the probabilities.")
    probabilities = {
        **_named("probabilities", f"One probability for each of {classes} classes."),
        3: {0: FEATURE_PROPERTIES, 1: {}},
        5: _range(1.0),
        6: [{**labels, 2: TENSOR_AXIS_LABELS}],
    }
    root = {
        0: description.name,
        1: description.description,
        3: [{0: description.name, 2: [pixels], 3: [probabilities]}],
        4: description.author,
        5: description.license,
        6: [_named(METADATA_FILE, "How kerascnn crops images, and how it made this file.")],
        7: MIN_PARSER_VERSION,
    }
    return build_flatbuffer(root, IDENTIFIER)


def _named(name: str, description: str) -> dict[int, Any]:
    """The first fields of TensorMetadata and AssociatedFile."""
    return {0: name, 1: description}


def _range(maximum: float) -> dict[int, Any]:
    """Stats of values from 0."""
    return {0: [maximum], 1: [0.0]}
