"""Export: the deployable form of a model, its files, and the proof that they are right."""

from kerascnn.export.deployable import deployable
from kerascnn.export.exporter import Export, export
from kerascnn.export.verification import Row, Tolerance, Verification, verify

__all__ = ["Export", "Row", "Tolerance", "Verification", "deployable", "export", "verify"]
