"""Height, width and channels of the images that a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

GRAY, RGB = 1, 3
COLORS = {GRAY: "gray", RGB: "RGB"}

# As options, recipes and files hold it: height and width in pixels, or one number for both.
Size = int | tuple[int, int]


class ImageSize(NamedTuple):
    """Height and width in pixels.

    Example:
        >>> str(ImageSize.of((240, 320)))
        '240 x 320'
    """

    height: int
    width: int

    @staticmethod
    def of(size: int | Sequence[int]) -> ImageSize:
        """The size of `Size`: one number, or height and width."""
        return ImageSize(size, size) if isinstance(size, int) else ImageSize(*size)

    @property
    def shorter(self) -> int:
        """The shorter side."""
        return min(self)

    @property
    def plain(self) -> Size:
        """One number for a square, else height and width."""
        return self.height if self.height == self.width else tuple(self)

    def frame(self, side: float) -> ImageSize:
        """The rectangle of the same proportions whose shorter side has this length; the other side is rounded."""
        return ImageSize(*(round(length * side / self.shorter) for length in self))

    def __str__(self) -> str:
        return f"{self.height} x {self.width}"
