"""Mixup and CutMix: each image of a batch is mixed with its partner, the one as far from the batch's other end."""

from __future__ import annotations

from collections.abc import Sequence

from kerascnn.lazy_tensorflow import tf


def interpolate(values: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """`shares`, float32 (batch,) in [0, 1], of each of float32 (batch, ...) values plus the rest of its partner's."""
    shares = tf.reshape(shares, [-1] + [1] * (len(values.shape) - 1))
    return shares * values + (1.0 - shares) * values[::-1]


def paste(images: tf.Tensor, shares: tf.Tensor, centers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pastes a rectangle of the partner into each image (CutMix, section 3.1).

    The rectangle has the image's proportions and 1 - share of its area, less the part that lies outside; `centers`,
    (batch, 2) in [0, 1), are over height and width. Also returns the shares that stayed, counted in pixels.
    """

    def inside(axis: int) -> tf.Tensor:
        length = images.shape[1 + axis]
        half = length * tf.sqrt(1.0 - shares) / 2.0
        center = tf.floor(centers[:, axis] * length)
        positions = tf.range(length, dtype=tf.float32)[None]
        return (positions >= tf.round(center - half)[:, None]) & (positions < tf.round(center + half)[:, None])

    pasted = inside(0)[:, :, None] & inside(1)[:, None, :]
    remaining = 1.0 - tf.reduce_mean(tf.cast(pasted, tf.float32), axis=(1, 2))
    return tf.where(pasted[..., None], images[::-1], images), remaining


def beta(count: tf.Tensor, alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """float32 (count,) drawn from Beta(alpha, alpha)."""
    # In float64, where the small gammas of a small alpha do not vanish.
    gammas = tf.random.stateless_gamma(tf.stack([count, 2]), seed, tf.constant(alpha, tf.float64), dtype=tf.float64)
    return tf.cast(gammas[:, 0] / tf.reduce_sum(gammas, axis=1), tf.float32)


def mixed(
    images: tf.Tensor, others: Sequence[tf.Tensor], *, mixup: float, cutmix: float, seed: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """A batch with each image mixed with its partner, in shares drawn per image.

    With both kinds, each batch gets one of them at random. Labels and weights in `others` are mixed in the images'
    shares. `mixup` and `cutmix` are the alphas of Mixup (Zhang et al. 2018, section 2) and CutMix (Yun et al. 2019,
    section 3.1); 0 for none.
    """
    share_seed, center_seed, choice_seed = tf.unstack(tf.random.split(seed, 3))
    count = tf.shape(images)[0]

    def by_mixup():
        shares = beta(count, mixup, share_seed)
        return interpolate(images, shares), shares

    def by_cutmix():
        centers = tf.random.stateless_uniform(tf.stack([count, 2]), center_seed)
        return paste(images, beta(count, cutmix, share_seed), centers)

    if mixup and cutmix:
        images, shares = tf.cond(tf.random.stateless_uniform((), choice_seed) < 0.5, by_mixup, by_cutmix)
    else:
        images, shares = by_mixup() if mixup else by_cutmix()
    return images, *(interpolate(values, shares) for values in others)
