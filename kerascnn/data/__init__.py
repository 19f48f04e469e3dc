"""Pictures in, batches out: sources, checking, augmentation and the tf.data pipeline."""

from kerascnn.data.augmentation import Augmentation
from kerascnn.data.dataset import ArrayExamples, DataSet, FileExamples, RecordExamples, SetAside
from kerascnn.data.ingestion import Ingested, ingest, load
from kerascnn.data.records import load_records, write_records

__all__ = [
    "ArrayExamples",
    "Augmentation",
    "DataSet",
    "FileExamples",
    "Ingested",
    "RecordExamples",
    "SetAside",
    "ingest",
    "load",
    "load_records",
    "write_records",
]
