"""Checksums as they are published: MD5 or SHA-256, whole or their first digits."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

# Against damage, which is what MD5 still tells.
ALGORITHMS = {"md5": functools.partial(hashlib.md5, usedforsecurity=False), "sha256": hashlib.sha256}


@dataclass(frozen=True)
class Checksum:
    """What the bytes of a file add up to.

    Attributes:
        algorithm: "md5" or "sha256".
        digits: hexadecimal, in lower case; all of them, or the first where no more are published.

    Example:
        >>> Checksum("sha256", "0676ba61").matches(Path("resnet50-0676ba61.pth"))
        True
    """

    algorithm: str
    digits: str

    @classmethod
    def of(cls, path: Path, algorithm: str = "sha256") -> Checksum:
        """That of a file."""
        with path.open("rb") as file:
            return cls(algorithm, hashlib.file_digest(file, ALGORITHMS[algorithm]).hexdigest())

    def matches(self, path: Path) -> bool:
        """Whether it is that of a file, as far as its digits go."""
        return Checksum.of(path, self.algorithm).digits.startswith(self.digits)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digits}"
