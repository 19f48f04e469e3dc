"""Which operations an exported file asks of what runs it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

# What stands between integers and floats, and is no work of the network's.
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST")


class Operations(NamedTuple):
    """The operations of a `.tflite` or `.onnx` file.

    Attributes:
        counts: how often each is in the graph, by the name that the format gives it.
        foreign: those that are not built into every interpreter: TensorFlow's own ("Flex…"), and custom ones.
        in_float: those whose result is a float32 tensor; in a file of integers, what was left out of them.
    """

    counts: dict[str, int]
    foreign: tuple[str, ...]
    in_float: tuple[str, ...]


def operations_of(path: Path) -> Operations:
    """Reads which operations a `.tflite` or `.onnx` file uses.

    Example:
        >>> operations_of(Path("resnet20-digits.tflite")).counts["CONV_2D"]
        19
    """
    return _of_onnx(path) if path.suffix == ".onnx" else _of_tflite(path)


def _of_onnx(path: Path) -> Operations:
    import onnx

    nodes = onnx.load(path).graph.node
    # ONNX' own operations have no domain; "ai.onnx" is the same.
    foreign = {node.op_type for node in nodes if node.domain not in ("", "ai.onnx")}
    counts = Counter(node.op_type for node in nodes)
    return Operations(dict(sorted(counts.items())), tuple(sorted(foreign)), ())


def _of_tflite(path: Path) -> Operations:
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    counts: Counter[str] = Counter()
    foreign, in_float = set(), set()
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        for index in range(graph.OperatorsLength()):
            operator = graph.Operators(index)
            code = codes[operator.OpcodeIndex()]
            # The first 127 codes are written to an old field too, the others only to the new one.
            name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            if name == "CUSTOM":
                name = code.CustomCode().decode()
                foreign.add(name)
            counts[name] += 1
            result = graph.Tensors(operator.Outputs(0))
            if result.Type() == schema.TensorType.FLOAT32 and name not in CONVERSIONS:
                in_float.add(name)
    return Operations(dict(sorted(counts.items())), tuple(sorted(foreign)), tuple(sorted(in_float)))
