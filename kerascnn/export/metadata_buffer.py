"""Metadata as a FlatBuffer, and its place in a `.tflite` file, which is one too."""

from __future__ import annotations

from typing import Any, NamedTuple

import flatbuffers

METADATA_NAME = "TFLITE_METADATA"
NETWORK_IDENTIFIER = b"TFL3"
# What TFLite's schema asks of a buffer's contents.
ALIGNMENT = 16

# Fields of the table Model of TFLite's schema, by their place in it.
MODEL_FIELDS = 10
VERSION, BUFFERS, METADATA = 0, 4, 6


class Scalar(NamedTuple):
    """A number in a table, with its type: "Int8", "Uint8" or "Uint32"."""

    type: str
    value: int


def packed(root: dict[int, Any], identifier: bytes) -> bytes:
    """A FlatBuffer.

    Args:
        root: the values of its root table, by the place of the field in the schema. A value is a `Scalar`, a string, a
            table again, a list of tables, or a list of float numbers; None is left out.
        identifier: of the schema, four bytes.

    Example:
        >>> packed({0: "googlenet", 3: [{0: "first"}, {0: "second"}]}, b"M001")[4:8]
        b'M001'
    """
    builder = flatbuffers.Builder()
    builder.Finish(_table(builder, root), identifier)
    return bytes(builder.Output())


def with_metadata(network: bytes, metadata: bytes) -> tuple[bytes, bytes]:
    """A `.tflite` file with metadata, as the two parts that it consists of.

    References in a FlatBuffer point forwards, so a new root in front can take over all that the old one refers to. The
    network's own bytes stay as they are, to the bit and to where weights lie within 16 bytes.

    Args:
        network: the file as a converter made it, without such metadata.
        metadata: a FlatBuffer of its own.

    Returns:
        What is new, and the network, each of a multiple of 16 bytes.
    """
    from ai_edge_litert import schema_py_generated as schema

    network += bytes(-len(network) % ALIGNMENT)
    model = schema.Model.GetRootAs(network, 0)
    old = model._tab
    builder = flatbuffers.Builder()
    builder.minalign = ALIGNMENT
    # The builder counts from its end backwards, and the network lies behind that end.
    kept = {
        field: -old.Indirect(old.Pos + place)
        for field in range(MODEL_FIELDS)
        if field != VERSION and (place := old.Offset(4 + 2 * field))
    }
    buffers, entries = _tables(old, BUFFERS), _tables(old, METADATA)

    builder.StartVector(1, len(metadata), ALIGNMENT)
    for byte in reversed(metadata):
        builder.PrependUint8(byte)
    contents = builder.EndVector()
    schema.BufferStart(builder)
    schema.BufferAddData(builder, contents)
    buffer = schema.BufferEnd(builder)

    name = builder.CreateString(METADATA_NAME)
    schema.MetadataStart(builder)
    schema.MetadataAddName(builder, name)
    schema.MetadataAddBuffer(builder, len(buffers))
    entry = schema.MetadataEnd(builder)

    kept[BUFFERS] = _vector(builder, [*buffers, buffer])
    kept[METADATA] = _vector(builder, [*entries, entry])
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, model.Version())
    for field, offset in kept.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    builder.Finish(schema.ModelEnd(builder), NETWORK_IDENTIFIER)
    return bytes(builder.Output()), network


def _tables(model: flatbuffers.table.Table, field: int) -> list[int]:
    """Where the tables of a vector of the network lie, counted as the builder in front of it does."""
    place = model.Offset(4 + 2 * field)
    if not place:
        return []
    start = model.Vector(place)
    return [-model.Indirect(start + 4 * index) for index in range(model.VectorLen(place))]


def _table(builder: flatbuffers.Builder, fields: dict[int, Any]) -> int:
    """Writes a table after all that it refers to, and gives its place."""
    values = {field: value for field, value in fields.items() if value is not None}
    places = {field: _place(builder, value) for field, value in values.items() if not isinstance(value, Scalar)}
    builder.StartObject(max(values, default=-1) + 1)
    for field, value in values.items():
        if isinstance(value, Scalar):
            getattr(builder, f"Prepend{value.type}Slot")(field, value.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, places[field], 0)
    return builder.EndObject()


def _place(builder: flatbuffers.Builder, value: Any) -> int:
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, dict):
        return _table(builder, value)
    if isinstance(value[0], dict):
        return _vector(builder, [_table(builder, item) for item in value])
    builder.StartVector(4, len(value), 4)
    for number in reversed(value):
        builder.PrependFloat32(number)
    return builder.EndVector()


def _vector(builder: flatbuffers.Builder, places: list[int]) -> int:
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return builder.EndVector()
