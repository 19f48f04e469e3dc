"""What a `.tflite` file says of itself, so that Android's tools and MediaPipe take it as it is.

The fields are those of TensorFlow's metadata_schema.fbs (root table ModelMetadata, file identifier "M001"); nothing
here is newer than its version 1.0.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kerascnn.evaluation.predictors import LABELS_FILE, METADATA_FILE, ModelMetadata
from kerascnn.export.metadata_buffer import Scalar, packed

IDENTIFIER = b"M001"
MIN_PARSER_VERSION = "1.0.0"

# Enumerations and unions of the schema.
UNKNOWN_FILE, TENSOR_AXIS_LABELS = Scalar("Int8", 0), Scalar("Int8", 2)
RGB = Scalar("Int8", 1)
FEATURE_PROPERTIES, IMAGE_PROPERTIES = Scalar("Uint8", 1), Scalar("Uint8", 2)
NORMALIZATION_OPTIONS = Scalar("Uint8", 1)


@dataclass(frozen=True)
class ModelDescription:
    """What is known of an exported model beside how it computes.

    Attributes:
        name: of the model.
        description: a sentence or two; None where its origin is not known.
        author: who made it, or None.
        license: under which terms it may be used, or None.
    """

    name: str
    description: str | None = None
    author: str | None = None
    license: str | None = None


def model_metadata(about: ModelDescription, facts: ModelMetadata) -> bytes:
    """The ModelMetadata of a classifier, as a FlatBuffer.

    Normalization is that of nobody, mean 0 and standard deviation 1, because the network scales pixels itself; the
    labels are in the associated file labels.txt.

    Args:
        about: name, description, author and licence.
        facts: classes and input.

    Example:
        >>> model_metadata(ModelDescription("googlenet-pets"), facts)[4:8]
        b'M001'
    """
    size = Scalar("Uint32", facts.image_size)
    scaling = "the network scales them itself"
    pixels = _tensor(
        "pixels",
        f"One RGB image of {facts.image_size} x {facts.image_size} pixels, each value from 0 to 255; {scaling}.",
        content={0: IMAGE_PROPERTIES, 1: {0: RGB, 1: {0: size, 1: size}}},
        process_units=[{0: NORMALIZATION_OPTIONS, 1: {0: [0.0], 1: [1.0]}}],
        highest=255.0,
    )
    labels = _file(LABELS_FILE, "The names of the classes, one a line, in the order of the probabilities.")
    probabilities = _tensor(
        "probabilities",
        f"One probability for each of {len(facts.class_names)} classes.",
        content={0: FEATURE_PROPERTIES, 1: {}},
        files=[{**labels, 2: TENSOR_AXIS_LABELS}],
        highest=1.0,
    )
    extra = _file(METADATA_FILE, "How kerascnn cuts images to size, and how it made this file.")
    root = {
        0: about.name,
        1: about.description,
        3: [{0: about.name, 2: [pixels], 3: [probabilities]}],
        4: about.author,
        5: about.license,
        6: [extra],
        7: MIN_PARSER_VERSION,
    }
    return packed(root, IDENTIFIER)


def _tensor(
    name: str,
    description: str,
    *,
    content: dict,
    highest: float,
    process_units: Sequence[dict] | None = None,
    files: Sequence[dict] | None = None,
) -> dict:
    """A TensorMetadata; its values begin at 0."""
    stats = {0: [highest], 1: [0.0]}
    return {0: name, 1: description, 3: {0: content[0], 1: content[1]}, 4: process_units, 5: stats, 6: files}


def _file(name: str, description: str) -> dict:
    """An AssociatedFile of no particular type."""
    return {0: name, 1: description}
