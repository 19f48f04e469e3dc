"""Measures how much memory an exported file needs at run time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
