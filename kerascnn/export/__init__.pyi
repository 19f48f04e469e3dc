# The public names, for editors, type checkers and lazy_loader. `X as X` marks a name as public: ruff needs it.
from .exporter import Export as Export, export as export
from .inference_network import deployable as deployable
from .verification import (
    FormatResult as FormatResult,
    Tolerance as Tolerance,
    Verification as Verification,
    verify as verify,
)
