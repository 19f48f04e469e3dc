"""Lists the operations that an exported file uses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

# Conversions between integers and floats are no part of the network.
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST")


class Operations(NamedTuple):
    """The operations of a `.tflite` or `.onnx` file."""

    counts: dict[str, int]  # number of uses of each operation, by its name in the format
    # Operations that are not built into every interpreter: TensorFlow's own ("Flex…") and custom ones.
    custom_ops: tuple[str, ...]
    float_ops: tuple[str, ...]  # operations of a `.tflite` file with a float32 result


def operations_of(path: Path) -> Operations:
    """Reads the operations of a `.tflite` or `.onnx` file."""
    nodes = _onnx_nodes(path) if path.suffix == ".onnx" else _tflite_nodes(path)
    counts = Counter(name for name, _, _ in nodes)
    custom = {name for name, is_custom, _ in nodes if is_custom}
    floats = {name for name, _, is_float in nodes if is_float and name not in CONVERSIONS}
    return Operations(dict(sorted(counts.items())), tuple(sorted(custom)), tuple(sorted(floats)))


def _onnx_nodes(path: Path) -> list[tuple[str, bool, bool]]:
    import onnx

    # ONNX' own operations have the empty domain, also written "ai.onnx".
    return [(node.op_type, node.domain not in ("", "ai.onnx"), False) for node in onnx.load(path).graph.node]


def _tflite_nodes(path: Path) -> list[tuple[str, bool, bool]]:
    """For each operation: its name, whether it is custom, and whether its result is float32."""
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    nodes = []
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            code = model.OperatorCodes(operator.OpcodeIndex())
            # The first 127 codes are also written to a deprecated field, the others only to the new one.
            name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            custom = name == "CUSTOM"
            is_float = graph.Tensors(operator.Outputs(0)).Type() == schema.TensorType.FLOAT32
            nodes.append((code.CustomCode().decode() if custom else name, custom, is_float))
    return nodes
