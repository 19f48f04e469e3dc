"""How far a large JPEG can be reduced while it is decoded: to a half, a quarter or an eighth of its sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import tensorflow as tf

# The decoder's own, by leaving out high frequencies; what it decodes is ceil(side / ratio) pixels long.
RATIOS = (1, 2, 4, 8)


class Reduction(NamedTuple):
    """How far an image can be reduced so that none of its crops has fewer pixels than its view.

    It depends on the image and not on the crop that is drawn, so that an image that is kept decoded is the same.

    Attributes:
        size: height and width of the views in pixels.
        share_of_area: the shortest side of any crop, over the square root of the image's area; or 0, and
        share_of_side: the same, over the image's shorter side.
    """

    size: int
    share_of_area: float = 0.0
    share_of_side: float = 0.0

    def step(self, shape: tf.Tensor) -> tf.Tensor:
        """Which of `RATIOS`, as an int32 index, for an image of int32 (height, width)."""
        import tensorflow as tf

        # At thousands of images a second every operation counts: these are five.
        sides = tf.cast(shape, tf.float32)
        if self.share_of_area:
            length, limits = tf.reduce_prod(sides), [(self.size * ratio / self.share_of_area) ** 2 for ratio in RATIOS]
        else:
            length, limits = tf.reduce_min(sides), [self.size * ratio / self.share_of_side for ratio in RATIOS]
        return tf.reduce_sum(tf.cast(length >= limits[1:], tf.int32))
