"""Published checksums: MD5 or SHA-256, complete or their first digits."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

# MD5 still detects accidental damage.
ALGORITHMS = {"md5": functools.partial(hashlib.md5, usedforsecurity=False), "sha256": hashlib.sha256}


@dataclass(frozen=True)
class Checksum:
    """The checksum of a file."""

    algorithm: str  # "md5" or "sha256"
    digits: str  # hexadecimal, lower case; the first digits are enough

    @classmethod
    def of(cls, path: Path, algorithm: str = "sha256") -> Checksum:
        """Computes the checksum of a file."""
        with path.open("rb") as file:
            return cls(algorithm, hashlib.file_digest(file, ALGORITHMS[algorithm]).hexdigest())

    def matches(self, path: Path) -> bool:
        """Whether the file's checksum begins with these digits."""
        return Checksum.of(path, self.algorithm).digits.startswith(self.digits)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digits}"
