"""What an exported file uses: its operations, and the memory that it needs at run time."""

from __future__ import annotations

import subprocess
import sys
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


# Runs in a process with only the runtime and NumPy. The peak is reset after both are loaded, so that the measurement
# contains the weights, as far as they are read, and the activations.
MEASUREMENT = """
import sys
import numpy as np
{import_runtime}

def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))

with open("/proc/self/clear_refs", "w") as marks:
    marks.write("5")
before = kilobytes("VmRSS:")
path = sys.argv[1]
{run}
print(1024 * (kilobytes("VmHWM:") - before))
"""

PROGRAMS = {
    ".tflite": MEASUREMENT.format(
        import_runtime="from ai_edge_litert.interpreter import Interpreter",
        run="""interpreter = Interpreter(path, num_threads=1)
interpreter.allocate_tensors()
[pixels] = interpreter.get_input_details()
interpreter.set_tensor(pixels["index"], np.zeros(pixels["shape"], pixels["dtype"]))
interpreter.invoke()""",
    ),
    ".onnx": MEASUREMENT.format(
        import_runtime="import onnxruntime",
        run="""options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
[pixels] = session.get_inputs()
session.run(None, {"pixels": np.zeros((1, *pixels.shape[1:]), np.float32)})""",
    ),
}


def peak_memory(path: Path) -> int | None:
    """The bytes of resident memory that opening a file and running it on one image adds to a process, at its peak.

    The file runs on one core in a process of its own. None for formats other than `.tflite` and `.onnx`, whose memory
    TensorFlow's own hides, and outside Linux, because only Linux lets a process reset its peak.

    Example:
        >>> peak_memory(Path("resnet20-digits.tflite"))
        3182592
    """
    if path.suffix not in PROGRAMS or not Path("/proc/self/clear_refs").exists():
        return None
    ended = subprocess.run([sys.executable, "-c", PROGRAMS[path.suffix], str(path)], capture_output=True, text=True)
    return int(ended.stdout) if ended.returncode == 0 else None
