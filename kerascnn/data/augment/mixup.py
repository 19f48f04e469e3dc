"""Batches of images mixed with themselves: Mixup and CutMix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def shares_of(values: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """`shares` of each value and the rest of that of its partner, the batch from its end.

    Args:
        values: float32 (batch, ...).
        shares: float32 (batch,) in [0, 1].
    """
    import tensorflow as tf

    shares = tf.reshape(shares, [-1] + [1] * (len(values.shape) - 1))
    return shares * values + (1.0 - shares) * values[::-1]


def cut_in(images: tf.Tensor, shares: tf.Tensor, centres: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pastes a rectangle of the partner, the batch from its end, into each image (CutMix, section 3.1).

    Args:
        images: float32 (batch, height, width, 3).
        shares: float32 (batch,), what is to be kept of each image; the rectangle has the image's proportions
            and 1 - share of its area, less what lies outside.
        centres: float32 (batch, 2) in [0, 1), the rectangle's centre over height and width.

    Returns:
        The images, and float32 (batch,), what was kept of each, counted in pixels.
    """
    import tensorflow as tf

    masks = []
    for axis in (0, 1):
        length = images.shape[1 + axis]
        half = length * tf.sqrt(1.0 - shares) / 2.0
        centre = tf.floor(centres[:, axis] * length)
        first, last = tf.round(centre - half), tf.round(centre + half)
        places = tf.range(length, dtype=tf.float32)[None]
        masks.append((places >= first[:, None]) & (places < last[:, None]))
    pasted = masks[0][:, :, None] & masks[1][:, None, :]
    kept = 1.0 - tf.reduce_mean(tf.cast(pasted, tf.float32), axis=(1, 2))
    return tf.where(pasted[..., None], images[::-1], images), kept


def beta(count: tf.Tensor, alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """float32 (count,) drawn from Beta(alpha, alpha)."""
    import tensorflow as tf

    # In float64, where the small gammas of a small alpha do not vanish.
    gammas = tf.random.stateless_gamma(tf.stack([count, 2]), seed, tf.constant(alpha, tf.float64), dtype=tf.float64)
    return tf.cast(gammas[:, 0] / tf.reduce_sum(gammas, axis=1), tf.float32)


def mixed(
    images: tf.Tensor, others: Sequence[tf.Tensor], *, mixup: float, cutmix: float, seed: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """A batch with each image mixed with its partner, the batch from its end; shares are drawn an image.

    Where both kinds are given, a throw decides for the batch.

    Args:
        images: float32 (batch, height, width, 3).
        others: what is mixed in the images' shares: one-hot labels (batch, classes), weights (batch,).
        mixup: alpha of Mixup (Zhang et al. 2018, section 2); 0 for none.
        cutmix: alpha of CutMix (Yun et al. 2019, section 3.1); 0 for none.
        seed: int32 (2,).

    Returns:
        The images, then the others.
    """
    import tensorflow as tf

    share_seed, centre_seed, throw_seed = tf.unstack(tf.random.split(seed, 3))
    count = tf.shape(images)[0]

    def by_mixup():
        shares = beta(count, mixup, share_seed)
        return shares_of(images, shares), shares

    def by_cutmix():
        centres = tf.random.stateless_uniform(tf.stack([count, 2]), centre_seed)
        return cut_in(images, beta(count, cutmix, share_seed), centres)

    if mixup and cutmix:
        images, kept = tf.cond(tf.random.stateless_uniform((), throw_seed) < 0.5, by_mixup, by_cutmix)
    else:
        images, kept = by_mixup() if mixup else by_cutmix()
    return images, *(shares_of(values, kept) for values in others)
