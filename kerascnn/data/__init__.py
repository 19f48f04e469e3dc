"""Pictures in, batches out: sources, checking, augmentation and the tf.data pipeline."""

from kerascnn.data.augmentation import Augmentation
from kerascnn.data.dataset import ArrayExamples, DataSet, FileExamples, RecordExamples, SetAside
from kerascnn.data.records import load_records, write_records
from kerascnn.data.sources import load

__all__ = [
    "ArrayExamples",
    "Augmentation",
    "DataSet",
    "FileExamples",
    "RecordExamples",
    "SetAside",
    "load",
    "load_records",
    "write_records",
]
