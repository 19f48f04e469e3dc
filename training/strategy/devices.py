"""The devices of a training, and the distribution of its batches over them."""

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
from kerascnn.keras_internals import set_cardinality

if TYPE_CHECKING:
    import tensorflow as tf

    from kerascnn.training.run_folder import RunFolder


class WorkerLostError(RuntimeError):
    """A training ended because another worker ended; `folder` is the run folder, if this worker has one."""

    folder: RunFolder | None = None


@dataclass(frozen=True)
class Devices:
    """The devices of a training."""

    name: str  # an argument for `choose_devices`
    reason: str  # why these were chosen
    strategy: tf.distribute.Strategy  # its replicas are the devices of all workers
    worker: int = 0  # the number of this process
    workers: int = 1  # the number of all processes

    def __str__(self) -> str:
        number = f"worker {self.worker} of {self.workers}, each on " if self.workers > 1 else "devices "
        return f"{number}{self.name}: {self.reason}"

    @property
    def chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.worker == 0

    @property
    def replicas(self) -> int:
        """The number of devices of all workers."""
        return self.strategy.num_replicas_in_sync

    def scope(self) -> AbstractContextManager:
        """The context in which models are built, compiled and loaded."""
        return self.strategy.scope()

    def share(self, batch_size: int) -> int:
        """The images of a batch that this worker gets; InputError if it cannot be divided into equal shares."""
        if batch_size % self.replicas:
            lower = batch_size - batch_size % self.replicas
            fitting = " or ".join(str(size) for size in (lower, lower + self.replicas) if size)
            raise InputError(
                f"batches of {batch_size} images cannot be divided equally among {self.replicas} devices; "
                f"use --batch-size {fitting}."
            )
        return batch_size // self.workers

    def training(self, batches: tf.data.Dataset, batch_size: int) -> Any:
        """Distributes this worker's training batches, of `share(batch_size)` images, over its devices for `fit`."""
        if self.replicas == 1:
            return batches
        if self.replicas > self.workers:
            batches = batches.rebatch(batch_size // self.replicas, drop_remainder=True)
        # An infinite data set saves an exchange between the workers at every step.
        return self.strategy.distribute_datasets_from_function(lambda context: batches.repeat())

    def evaluation(self, batches: tf.data.Dataset, batch_size: int, images: int) -> Any:
        """Distributes this worker's images over its devices, with the same number of batches on all, none empty.

        `batches` are every `workers`-th image, from number `worker` on, in batches of any size; `batch_size` and
        `images` are over all workers. InputError if there are fewer images than devices.
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
        set_cardinality(distributed, steps)
        return distributed

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Whether each flag is true on at least one worker; all workers must call it at the same step."""
        if self.workers == 1:
            return flags
        import tensorflow as tf

        counts = _sum_over_replicas(self.strategy)(tf.constant(flags, tf.float32))
        return tuple(bool(count) for count in counts.numpy())

    @contextlib.contextmanager
    def chief_first(self) -> Iterator[None]:
        """Runs the body on the chief, then on the others; raises WorkerLostError if the chief did not complete it."""
        with self.detecting_lost_workers():
            if not self.chief:
                self.any(False)
            yield
            if self.chief:
                self.any(False)

    @contextlib.contextmanager
    def detecting_lost_workers(self) -> Iterator[None]:
        """Raises WorkerLostError in place of TensorFlow's errors, if another worker ended or cannot be reached."""
        import tensorflow as tf

        names = ("UnavailableError", "AbortedError", "DeadlineExceededError", "InternalError", "CancelledError")
        try:
            yield
        except tuple(getattr(tf.errors, name) for name in names) as error:
            if self.workers == 1:
                raise
            lines = [line for line in str(error).splitlines() if "Collective ops is aborted by" in line]
            cause = (lines or str(error).splitlines() or [type(error).__name__])[0].partition("aborted by: ")[-1]
            raise WorkerLostError(
                f"worker {self.worker} of {self.workers} stopped, because another worker ended or cannot be reached: "
                f"{cause}"
            ) from None


@functools.cache
def _sum_over_replicas(strategy: tf.distribute.Strategy) -> Any:
    import tensorflow as tf

    def exchange(flags):
        # The copy is on the worker's own device.
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(flags))

    @tf.function(autograph=False)
    def count(flags):
        return strategy.experimental_local_results(strategy.run(exchange, args=(flags,)))[0]

    return count
