# The public names, for editors, type checkers and lazy_loader. `X as X` marks a name as public: ruff needs it.
from .array_data import from_arrays as from_arrays, from_dataset as from_dataset
from .augment.augmentation import Augmentation as Augmentation
from .dataset import (
    ArrayExamples as ArrayExamples,
    DataSet as DataSet,
    FileExamples as FileExamples,
    RecordExamples as RecordExamples,
    SkippedFile as SkippedFile,
)
from .ingestion.data_options import DataOptions as DataOptions
from .ingestion.folder import Ingested as Ingested
from .ingestion.ingest import (
    IngestedPart as IngestedPart,
    ingest as ingest,
    ingest_part as ingest_part,
    load as load,
    load_labeled as load_labeled,
)
from .labeled_images import LabeledImages as LabeledImages
from .pipeline.tfrecords import load_records as load_records, write_records as write_records
from .table_data import from_table as from_table
