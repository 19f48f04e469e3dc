"""How much memory an exported file takes where it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Runs in a process that has the runtime and NumPy and nothing else. The operating system's highest mark is set back
# when both are loaded, so that what is measured belongs to the file: weights, as far as they are read, and activations.
MEASURED = """
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
    ".tflite": MEASURED.format(
        import_runtime="from ai_edge_litert.interpreter import Interpreter",
        run="""interpreter = Interpreter(path, num_threads=1)
interpreter.allocate_tensors()
[pixels] = interpreter.get_input_details()
interpreter.set_tensor(pixels["index"], np.zeros(pixels["shape"], pixels["dtype"]))
interpreter.invoke()""",
    ),
    ".onnx": MEASURED.format(
        import_runtime="import onnxruntime",
        run="""options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
[pixels] = session.get_inputs()
session.run(None, {"pixels": np.zeros((1, *pixels.shape[1:]), np.float32)})""",
    ),
}


def peak_memory(path: Path) -> int | None:
    """Bytes of resident memory that opening a file and running it for one image add to a process, at the highest.

    Measured on one core, in a process of its own.

    Args:
        path: of a `.tflite` or `.onnx` file.

    Returns:
        None for other forms, which run in TensorFlow, whose own memory hides theirs, and where the operating system is
        not Linux, which alone lets a process set back its highest mark.

    Example:
        >>> peak_memory(Path("resnet20-digits.tflite"))
        3182592
    """
    if path.suffix not in PROGRAMS or not Path("/proc/self/clear_refs").exists():
        return None
    ended = subprocess.run([sys.executable, "-c", PROGRAMS[path.suffix], str(path)], capture_output=True, text=True)
    return int(ended.stdout) if ended.returncode == 0 else None
