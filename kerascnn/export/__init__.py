"""Exports trained models to SavedModel, TFLite and ONNX, and verifies the files."""

from kerascnn.export.deployable import deployable
from kerascnn.export.exporter import Export, export
from kerascnn.export.verification import FormatResult, Tolerance, Verification, verify

__all__ = ["Export", "FormatResult", "Tolerance", "Verification", "deployable", "export", "verify"]
