"""Formats recipes for the command line: the table of all, and the learning rate and pixels of one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from kerascnn import console

if TYPE_CHECKING:
    from rich.table import Table

    from kerascnn.training import Recipe


def recipes_table(recipes: dict[str, Recipe]) -> Table:
    """The recipes with their networks, sources and main numbers."""
    columns = ("recipe", "for", "source", "length", "batch", "learning rate")
    table = console.table(*columns, text_columns=3, optional=("source", "for"))
    table.columns[0].no_wrap = True
    table.columns[5].justify, table.columns[5].no_wrap = "left", False
    kind = None
    for name, recipe in recipes.items():
        if kind not in (None, recipe.about.kind):
            table.add_section()
        kind = recipe.about.kind
        rate = f"{recipe.optimizer.learning_rate:g} {recipe.schedule.name}"
        networks, source = format_networks(recipe.about.networks), _format_source(recipe)
        table.add_row(name, networks, source, format_length(recipe), str(recipe.batch_size), rate)
    return table


def format_networks(names: list[str]) -> str:
    """Joins names that differ in their number only; none are all.

    Example:
        >>> format_networks(["resnet18", "resnet34", "zfnet"])
        'resnet18, 34; zfnet'
    """
    if not names:
        return "every network"
    groups: list[str] = []
    for name in names:
        stem = name.rstrip("0123456789c")
        number = name.removeprefix(stem)
        if number and groups and re.split(r"\d", groups[-1])[0] == stem:
            groups[-1] += f", {number}"
        else:
            groups.append(name)
    return "; ".join(groups)


def _format_source(recipe: Recipe) -> str:
    if not recipe.about.paper:
        return "few images"
    authors = recipe.about.paper.split(",")[0]
    year = re.search(r", (\d{4})", recipe.about.paper)
    return f"{authors} {year[1]}" if year else authors


def format_length(recipe: Recipe) -> str:
    """The length in the recipe's own unit."""
    return f"{recipe.iterations:,} steps" if recipe.iterations else f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)}"


def _format_schedule(recipe: Recipe) -> str:
    schedule = recipe.schedule
    milestones = " and ".join(f"{milestone:g}" for milestone in schedule.milestones)
    text = {
        "cosine": "cosine to 0",
        "constant": "constant",
        "steps": f"x {schedule.factor:g} at {milestones} {schedule.unit}",
        "exponential": f"x {schedule.factor:g} every {schedule.every:.3g} {schedule.unit}",
        "linear": f"linearly to x {schedule.factor:g} in {schedule.every:g} {schedule.unit}",
        "plateau": f"x {schedule.factor:g} on a plateau, at most {schedule.max_reductions} times",
    }[schedule.name]
    if schedule.warmup_steps:
        return f"{text}, after {schedule.warmup_steps} steps of warm-up"
    if schedule.warmup_epochs:
        return f"{text}, after {schedule.warmup_epochs:g} epoch{'s' * (schedule.warmup_epochs != 1)} of warm-up"
    return text


def format_learning_rate(recipe: Recipe) -> str:
    """The learning rate for the batch size, its scaling rule, and its schedule."""
    rate, base = recipe.optimizer.learning_rate, recipe.optimizer.base_batch_size
    rule = f" = {rate:g} x {recipe.batch_size} / {base} (batch size / base_batch_size)" if base else ""
    return f"learning rate {recipe.peak_learning_rate:g}{rule}; {_format_schedule(recipe)}"


def format_pixels(recipe: Recipe) -> str:
    """How a resolved recipe scales pixels: "minus 0, divided by 255"."""
    means = {"weights": "the mean image of the weights", "pixel": "a mean image", "channel": "the channel means"}
    means |= {"middle": "the middle of their range", "none": "0"}
    mean, std = (
        part if isinstance(part, str) else ", ".join(f"{value:.4g}" for value in np.atleast_1d(part))
        for part in (recipe.pixels.mean, recipe.pixels.std)
    )
    contrast = f", contrast normalized to a norm of {recipe.pixels.contrast:g}" if recipe.pixels.contrast else ""
    whitening = ", whitened" if recipe.pixels.whitening else ""
    return f"minus {means.get(mean, mean)}, divided by {std}{contrast}{whitening}"
