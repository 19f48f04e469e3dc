"""An `.onnx` file as a predictor. Needs the extra `onnx`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from kerascnn.cores import cores
from kerascnn.errors import InputError
from kerascnn.evaluation.predictors import BATCH, LABELS_FILE, METADATA_FILE, ModelMetadata, Predictor, one_line

PACKAGES = ("onnx", "onnxruntime", "tf2onnx")


def check_onnx_packages() -> None:
    """Does nothing where the packages for ONNX are there.

    Raises:
        InputError: one of them is not installed.
    """
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise InputError(f"ONNX needs the package {package}, which is not installed: pip install 'kerascnn[onnx]'.")


class OnnxPredictor(Predictor):
    """An `.onnx` file that `kerascnn export` wrote, run by ONNX Runtime.

    Raises:
        InputError: the packages for ONNX are not installed, or the file is damaged or another program's.
    """

    kind = "ONNX"

    def __init__(self, path: Path, threads: int | None = None):
        check_onnx_packages()
        import onnxruntime

        self.path = path
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or cores()
        # Errors only.
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            written = self._session.get_modelmeta().custom_metadata_map
            self.metadata = ModelMetadata.from_files(written[METADATA_FILE], written[LABELS_FILE])
        except Exception as error:
            raise InputError(f"{path} is not an ONNX file of kerascnn: {one_line(error)}") from None

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """See `Predictor`."""
        batches = (images[first : first + BATCH].astype(np.float32) for first in range(0, len(images), BATCH))
        return np.concatenate([self._session.run(["probabilities"], {"pixels": batch})[0] for batch in batches])

    def on_one_thread(self) -> OnnxPredictor:
        """The same file on one processor core."""
        return OnnxPredictor(self.path, threads=1)
