"""The devices that a training computes on, and what of it lies on which."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerascnn.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

    from kerascnn.training.run_folder import RunFolder


class WorkerLostError(RuntimeError):
    """A training ended because another of its workers did.

    Attributes:
        folder: the run folder, where this worker has one.
    """

    folder: RunFolder | None = None


@dataclass(frozen=True)
class Devices:
    """What a training computes on.

    Attributes:
        name: as `choose_devices` takes it.
        reason: why these.
        strategy: TensorFlow's, whose replicas are the devices of all workers.
        worker, workers: which of how many this process is.
    """

    name: str
    reason: str
    strategy: tf.distribute.Strategy
    worker: int = 0
    workers: int = 1

    def __str__(self) -> str:
        number = f"worker {self.worker} of {self.workers}, each on " if self.workers > 1 else "devices "
        return f"{number}{self.name}: {self.reason}"

    @property
    def chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.worker == 0

    @property
    def replicas(self) -> int:
        """The devices of all workers together."""
        return self.strategy.num_replicas_in_sync

    def scope(self) -> AbstractContextManager:
        """In it, models are built, compiled and loaded."""
        return self.strategy.scope()

    def share(self, batch_size: int) -> int:
        """How many images of a batch are this worker's.

        Raises:
            InputError: the batch cannot be divided into equal shares, of which the gradients are means.
        """
        if batch_size % self.replicas:
            lower = batch_size - batch_size % self.replicas
            fitting = " or ".join(str(size) for size in (lower, lower + self.replicas) if size)
            raise InputError(
                f"batches of {batch_size} images do not divide among {self.replicas} devices; "
                f"say --batch-size {fitting}."
            )
        return batch_size // self.workers

    def training(self, batches: tf.data.Dataset, batch_size: int) -> Any:
        """This worker's training batches, each divided among its devices.

        Args:
            batches: of `share(batch_size)` images; none is smaller.
            batch_size: over all workers.

        Returns:
            What Keras' `fit` takes; the batches themselves where there is one device.
        """
        if self.replicas == 1:
            return batches
        if self.replicas > self.workers:
            batches = batches.rebatch(batch_size // self.replicas, drop_remainder=True)
        # Workers need not tell each other at every step that they have not come to the end.
        return self.strategy.distribute_datasets_from_function(lambda context: batches.repeat())

    def evaluation(self, batches: tf.data.Dataset, batch_size: int, images: int) -> Any:
        """This worker's share of all images, in as many batches as every device has; none of them is empty.

        Args:
            batches: with this worker's images, every `workers`-th one, in batches of any size.
            batch_size: over all workers.
            images: over all workers.

        Returns:
            What Keras' `evaluate` takes; the batches themselves where there is one device.

        Raises:
            InputError: there are fewer images than devices.
        """
        if self.replicas == 1:
            return batches
        if images < self.replicas:
            raise InputError(f"{images} validation image(s) cannot be divided among {self.replicas} devices.")
        local = self.replicas // self.workers
        steps = min(math.ceil(images / batch_size), images // self.replicas)
        own = len(range(self.worker, images, self.workers))
        borders = [own * piece // (steps * local) for piece in range(steps * local + 1)]
        batches = batches.rebatch([end - begin for begin, end in itertools.pairwise(borders)])
        distributed = self.strategy.distribute_datasets_from_function(lambda context: batches)
        # What Keras asks for; TensorFlow does not know it.
        distributed._cardinality = steps
        return distributed

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Which of these is true for at least one worker; all workers have to ask, and at the same step."""
        if self.workers == 1:
            return flags
        import tensorflow as tf

        counts = _counting(self.strategy)(tf.constant(flags, tf.float32))
        return tuple(bool(count) for count in counts.numpy())

    @contextlib.contextmanager
    def in_turn(self) -> Iterator[None]:
        """The chief does what is inside first, the other workers when it is done.

        Raises:
            WorkerLostError: it did not come to the end.
        """
        with self.watching():
            if not self.chief:
                self.any(False)
            yield
            if self.chief:
                self.any(False)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Turns what TensorFlow raises when another worker is gone into one sentence.

        Raises:
            WorkerLostError: another worker ended, or could not be reached.
        """
        import tensorflow as tf

        gone = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
        try:
            yield
        except (*gone, tf.errors.InternalError, tf.errors.CancelledError) as error:
            if self.workers == 1:
                raise
            raise WorkerLostError(
                f"worker {self.worker} of {self.workers} stopped, because another worker ended or cannot be reached: "
                f"{_last_line(error)}"
            ) from None


@functools.cache
def _counting(strategy: tf.distribute.Strategy) -> Any:
    """The sum over all replicas of what each worker puts in."""
    import tensorflow as tf

    def exchange(flags):
        # A copy lies on the worker's own device.
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(flags))

    @tf.function(autograph=False)
    def count(flags):
        return strategy.experimental_local_results(strategy.run(exchange, args=(flags,)))[0]

    return count


def _last_line(error: Exception) -> str:
    """The part of TensorFlow's message that says what happened."""
    lines = [line for line in str(error).splitlines() if "Collective ops is aborted by" in line]
    return (lines or str(error).splitlines() or [type(error).__name__])[0].partition("aborted by: ")[-1]
