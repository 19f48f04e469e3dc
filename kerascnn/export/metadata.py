"""Builds the metadata that Android's tools and MediaPipe read, and inserts it into a `.tflite` file: two FlatBuffers.

The field numbers are those of TensorFlow's metadata_schema.fbs (root table ModelMetadata, file identifier "M001").
Only fields of its version 1.0.0 are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import flatbuffers

from kerascnn.evaluation.predictors import LABELS_FILE, METADATA_FILE, ModelMetadata
from kerascnn.image_shape import COLORS, GRAY, RGB, ImageSize

METADATA_NAME = "TFLITE_METADATA"
NETWORK_IDENTIFIER = b"TFL3"
# The alignment of buffer contents in TFLite's schema.
ALIGNMENT = 16

# Fields of the table Model in TFLite's schema.
MODEL_FIELDS = 10
VERSION, BUFFERS, METADATA = 0, 4, 6

IDENTIFIER = b"M001"
MIN_PARSER_VERSION = "1.0.0"


class Scalar(NamedTuple):
    """A number in a table, with its type: "Int8", "Uint8", "Uint32" or "Float32"."""

    type: str
    value: float


# Enumerations and unions of the schema.
TENSOR_AXIS_LABELS = Scalar("Int8", 2)
COLOR_SPACES = {RGB: Scalar("Int8", 1), GRAY: Scalar("Int8", 2)}
FEATURE_PROPERTIES, IMAGE_PROPERTIES = Scalar("Uint8", 1), Scalar("Uint8", 2)
NORMALIZATION_OPTIONS, SCORE_THRESHOLDING_OPTIONS = Scalar("Uint8", 1), Scalar("Uint8", 3)


@dataclass(frozen=True)
class ModelDescription:
    """Describes an exported model for the model card and the metadata."""

    name: str  # of the model
    description: str | None = None  # a sentence or two, or None
    author: str | None = None  # who made it, or None
    license: str | None = None  # the terms of use, or None


def tflite_metadata(description: ModelDescription, metadata: ModelMetadata) -> bytes:
    """Builds a classifier's ModelMetadata as a FlatBuffer.

    The normalization has mean 0 and standard deviation 1, because the network scales pixels itself. The labels are in
    the associated file labels.txt. Of a multi-label model, readers leave out classes below the threshold.

    Example:
        >>> tflite_metadata(ModelDescription("googlenet-pets"), metadata)[4:8]
        b'M001'
    """
    size, channels, classes = ImageSize.of(metadata.image_size), metadata.channels, len(metadata.class_names)
    width_and_height = {0: Scalar("Uint32", size.width), 1: Scalar("Uint32", size.height)}
    pixels = {
        0: "pixels",
        1: f"One {COLORS[channels]} image, {size} (height x width), values from 0 to 255, scaled by the network.",
        3: {0: IMAGE_PROPERTIES, 1: {0: COLOR_SPACES[channels], 1: width_and_height}},
        4: [{0: NORMALIZATION_OPTIONS, 1: {0: [0.0], 1: [1.0]}}],
        5: {0: [255.0], 1: [0.0]},
    }
    of_labels = "The names of the classes, one per line, in the order of the probabilities."
    probabilities = {
        0: "probabilities",
        1: f"One probability for each of {classes} classes"
        f"{', of which an image may have any number.' if metadata.multi_label else '.'}",
        3: {0: FEATURE_PROPERTIES, 1: {}},
        4: None
        if metadata.threshold is None
        else [{0: SCORE_THRESHOLDING_OPTIONS, 1: {0: Scalar("Float32", metadata.threshold)}}],
        5: {0: [1.0], 1: [0.0]},
        6: [{0: LABELS_FILE, 1: of_labels, 2: TENSOR_AXIS_LABELS}],
    }
    root = {
        0: description.name,
        1: description.description,
        3: [{0: description.name, 2: [pixels], 3: [probabilities]}],
        4: description.author,
        5: description.license,
        6: [{0: METADATA_FILE, 1: "How kerascnn crops images, and how it made this file."}],
        7: MIN_PARSER_VERSION,
    }
    return build_flatbuffer(root, IDENTIFIER)


def build_flatbuffer(root: dict[int, Any], identifier: bytes) -> bytes:
    """Builds a FlatBuffer of a schema, given the root table and the identifier, four bytes.

    A table has values by the field's number in the schema: a `Scalar`, a string, another table, a list of tables or a
    list of floats; None is left out.

    Example:
        >>> build_flatbuffer({0: "googlenet", 3: [{0: "first"}, {0: "second"}]}, b"M001")[4:8]
        b'M001'
    """
    builder = flatbuffers.Builder()
    builder.Finish(_write_table(builder, root), identifier)
    return bytes(builder.Output())


def with_metadata(network: bytes, metadata: bytes) -> tuple[bytes, bytes]:
    """Adds metadata, a FlatBuffer, to a `.tflite` file that a converter made without such metadata.

    References in a FlatBuffer point forwards, so a new root in front can refer to everything that the old root refers
    to. The bytes of the network do not change, and weights keep their 16-byte alignment. Returns the new part and the
    network, to be written one after the other; both are multiples of 16 bytes long.
    """
    from ai_edge_litert import schema_py_generated as schema

    network += bytes(-len(network) % ALIGNMENT)
    model = schema.Model.GetRootAs(network, 0)
    old = model._tab
    builder = flatbuffers.Builder()
    builder.minalign = ALIGNMENT
    # The builder counts backwards from its end, and the network follows that end.
    fields = {
        field: -old.Indirect(old.Pos + offset)
        for field in range(MODEL_FIELDS)
        if field != VERSION and (offset := old.Offset(4 + 2 * field))
    }
    buffers, entries = _table_offsets(old, BUFFERS), _table_offsets(old, METADATA)

    builder.Prep(ALIGNMENT, len(metadata))
    contents = builder.CreateByteVector(metadata)
    schema.BufferStart(builder)
    schema.BufferAddData(builder, contents)
    buffer = schema.BufferEnd(builder)

    name = builder.CreateString(METADATA_NAME)
    schema.MetadataStart(builder)
    schema.MetadataAddName(builder, name)
    schema.MetadataAddBuffer(builder, len(buffers))
    entry = schema.MetadataEnd(builder)

    fields[BUFFERS] = _write_offsets(builder, [*buffers, buffer])
    fields[METADATA] = _write_offsets(builder, [*entries, entry])
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, model.Version())
    for field, offset in fields.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    builder.Finish(schema.ModelEnd(builder), NETWORK_IDENTIFIER)
    return bytes(builder.Output()), network


def _table_offsets(model: flatbuffers.table.Table, field: int) -> list[int]:
    """Offsets of the tables in a vector of the network, as the builder in front of it counts them."""
    offset = model.Offset(4 + 2 * field)
    if not offset:
        return []
    start = model.Vector(offset)
    return [-model.Indirect(start + 4 * index) for index in range(model.VectorLen(offset))]


def _write_table(builder: flatbuffers.Builder, fields: dict[int, Any]) -> int:
    """Writes a table after everything that it refers to; returns its offset."""
    values = {field: value for field, value in fields.items() if value is not None}
    offsets = {field: _write(builder, value) for field, value in values.items() if not isinstance(value, Scalar)}
    builder.StartObject(max(values, default=-1) + 1)
    for field, value in values.items():
        if isinstance(value, Scalar):
            getattr(builder, f"Prepend{value.type}Slot")(field, value.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, offsets[field], 0)
    return builder.EndObject()


def _write(builder: flatbuffers.Builder, value: Any) -> int:
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, dict):
        return _write_table(builder, value)
    if isinstance(value[0], dict):
        return _write_offsets(builder, [_write_table(builder, item) for item in value])
    builder.StartVector(4, len(value), 4)
    for number in reversed(value):
        builder.PrependFloat32(number)
    return builder.EndVector()


def _write_offsets(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
