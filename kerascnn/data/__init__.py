"""Pictures in, batches out: sources, checking, augmentation and the tf.data pipeline."""

from kerascnn.data.augmentation import Augmentation
from kerascnn.data.dataset import ArrayExamples, DataSet, FileExamples, SetAside
from kerascnn.data.ingestion import Ingested, ingest, load

__all__ = ["ArrayExamples", "Augmentation", "DataSet", "FileExamples", "Ingested", "SetAside", "ingest", "load"]
