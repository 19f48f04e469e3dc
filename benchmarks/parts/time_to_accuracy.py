"""Seconds until ResNet-20 classifies a share of the validation images, beside PyTorch with the same recipe.

The clock runs from decoding the files to the end of the validation that reaches the accuracy, compilation included.
Both keep decoded images in memory. PyTorch's images are augmented in batches, as tensors. The seeds count the rounds:
an epoch more or less, which they decide, is an eighth of the time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from benchmarks.part import Contestant, Measure, Options, Part, Row
from benchmarks.photographs import clean_copy, data_set_of, temporary_folder

EPOCHS, PAD, MEAN, STD = 12, 4, 120.0, 63.0
OPTIMIZER = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1e-4}


def rows(options: Options) -> Iterator[Row]:
    """One row per policy; a round is a whole training."""
    for policy in options.policies or ("mixed_bfloat16",):
        common = {"source": str(options.cifar), "images": options.images, "policy": policy}
        common |= {"accuracy": options.accuracy or 0.7, "batch": (options.batches or [128])[0]}
        name = f"resnet20, {common['accuracy']:.0%}, {policy}"
        torch = [
            Contestant(f"PyTorch, {how}", of_torch, common | {"compiled": compiled}, ("torch", "torchvision"), 1.1)
            for how, compiled in (("eager", False), ("compiled", True))
        ]
        yield Row(name, "s", (Contestant("kerascnn", ours, common), *torch), rounds=3)


def ours(source: str, images: int | None, policy: str, accuracy: float, batch: int) -> Measure:
    import keras

    from kerascnn.training import Recipe, RunConfig, train

    loaded = data_set_of(clean_copy(source, images))
    optimizer = OPTIMIZER | {"name": "sgd", "base_batch_size": None, "nesterov": False, "weight_decay_form": "l2"}
    recipe = Recipe.load("cifar_modern").with_values(
        model="resnet20",
        epochs=EPOCHS,
        batch_size=batch,
        precision=policy,
        optimizer=optimizer | {"weight_decay_exclude": []},
        schedule={"name": "cosine", "warmup_epochs": 0},
        pixels={"mean": MEAN, "std": STD},
    )

    class UntilAccurate(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.reached = time.perf_counter()
            self.model.stop_training = self.enough = logs["val_top1"] >= accuracy

    seeds = itertools.count()

    def measure() -> float:
        until, start = UntilAccurate(), time.perf_counter()
        cached, seeded = RunConfig(cache="memory", best=0), recipe.with_values(seed=next(seeds))
        train(seeded, loaded, runs=temporary_folder(), callbacks=[until], run_config=cached, verbose=0)
        return _seconds(until.reached - start, until.enough)

    return measure


def _seconds(seconds: float, enough: bool) -> float:
    if not enough:
        raise RuntimeError(f"the accuracy was not reached in {EPOCHS} epochs")
    return seconds


def of_torch(source: str, images: int | None, policy: str, accuracy: float, batch: int, compiled: bool) -> Measure:
    import torch

    from benchmarks import torch_networks
    from kerascnn.cores import cores

    torch.set_num_threads(cores())
    folder, seeds = clean_copy(source, images), itertools.count()

    def measure() -> float:
        torch.manual_seed(next(seeds))
        start = time.perf_counter()
        pixels, labels = _decoded(folder / "training")
        held_out = _decoded(folder / "validation")
        model = torch_networks.create("resnet20", 10).to(memory_format=torch.channels_last)
        forward = torch.compile(model) if compiled else model
        optimizer = torch.optim.SGD(
            model.parameters(),
            OPTIMIZER["learning_rate"],
            OPTIMIZER["momentum"],
            weight_decay=OPTIMIZER["weight_decay"],
        )
        steps = len(pixels) // batch
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
        half = torch.autocast("cpu", torch.bfloat16, enabled=policy == "mixed_bfloat16")
        for _ in range(EPOCHS):
            model.train()
            order = torch.randperm(len(pixels))
            for step in range(steps):
                chosen = order[step * batch : (step + 1) * batch]
                optimizer.zero_grad(set_to_none=True)
                with half:
                    loss = torch.nn.functional.cross_entropy(forward(_augmented(pixels[chosen])), labels[chosen])
                loss.backward()
                optimizer.step()
                schedule.step()
            model.eval()
            with torch.inference_mode(), half:
                answers = [model(_scaled(part)).argmax(1) for part in held_out[0].split(500)]
            if (torch.cat(answers) == held_out[1]).float().mean() >= accuracy:
                return time.perf_counter() - start
        return _seconds(0, enough=False)

    return measure


def _decoded(folder):
    """The images of a folder per class, uint8 (count, 3, height, width), and their labels."""
    import torch
    from torchvision.io import decode_jpeg, read_file

    classes = sorted(entry.name for entry in folder.iterdir())
    files = sorted(folder.glob("*/*.jpg"))
    labels = torch.tensor([classes.index(file.parent.name) for file in files])
    return torch.stack([decode_jpeg(read_file(str(file))) for file in files]), labels


def _augmented(pixels):
    """Each image padded, cropped at random, and flipped at random."""
    import torch

    count, _, height, width = pixels.shape
    padded = torch.nn.functional.pad(pixels, (PAD, PAD, PAD, PAD))
    rows = torch.randint(0, 2 * PAD + 1, (count, 1)) + torch.arange(height)
    columns = torch.randint(0, 2 * PAD + 1, (count, 1)) + torch.arange(width)
    columns = torch.where(torch.rand(count, 1) < 0.5, columns, columns.flip(1))
    cropped = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None]]
    return _scaled(cropped.permute(0, 3, 1, 2))


def _scaled(pixels):
    import torch

    return ((pixels.float() - MEAN) / STD).contiguous(memory_format=torch.channels_last)


PART = Part(
    "seconds until ResNet-20 classifies 70 % of CIFAR's validation images, beside PyTorch",
    ("cifar", "images", "accuracy", "policies", "batches"),
    rows,
    needs="cifar",
)
