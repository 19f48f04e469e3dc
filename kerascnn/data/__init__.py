"""Images in, batches out: sources, checking, augmentation and the tf.data pipeline."""

from kerascnn.data.array_data import from_arrays, from_dataset
from kerascnn.data.augment.augmentation import Augmentation
from kerascnn.data.dataset import ArrayExamples, DataSet, FileExamples, RecordExamples, SkippedFile
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.folder import Ingested
from kerascnn.data.ingestion.ingest import ingest, load, load_labeled
from kerascnn.data.labeled_images import LabeledImages
from kerascnn.data.pipeline.tfrecords import load_records, write_records
from kerascnn.data.table_data import from_table

__all__ = [
    "ArrayExamples",
    "Augmentation",
    "DataOptions",
    "DataSet",
    "FileExamples",
    "Ingested",
    "LabeledImages",
    "RecordExamples",
    "SkippedFile",
    "from_arrays",
    "from_dataset",
    "from_table",
    "ingest",
    "load",
    "load_labeled",
    "load_records",
    "write_records",
]
