"""Recipes as the command line shows them: a table, and a learning rate that says what becomes of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.table import Table

from kerascnn.console import BOX

if TYPE_CHECKING:
    from kerascnn.training import Recipe


def recipes_table(recipes: dict[str, Recipe]) -> Table:
    """The recipes, what they are for, and their first numbers."""
    table = Table("recipe", "for", "source", "length", "batch", "learning rate", box=BOX)
    table.columns[1].overflow = "fold"
    table.columns[0].no_wrap = True
    for column in table.columns[3:5]:
        column.justify = "right"
    kind = None
    for name, recipe in recipes.items():
        if kind not in (None, recipe.about.kind):
            table.add_section()
        kind = recipe.about.kind
        table.add_row(
            name,
            networks_in_words(recipe.about.networks),
            source_in_words(recipe),
            length_in_words(recipe),
            str(recipe.batch_size),
            f"{recipe.optimizer.learning_rate:g} {recipe.schedule.name}",
        )
    return table


def networks_in_words(names: list[str]) -> str:
    """Names that differ in their number only are put together; none are all.

    Example:
        >>> networks_in_words(["resnet18", "resnet34", "zfnet"])
        'resnet18/34, zfnet'
    """
    if not names:
        return "every network"
    words: list[str] = []
    for name in names:
        stem = name.rstrip("0123456789c")
        number = name.removeprefix(stem)
        if number and words and re.split(r"\d", words[-1])[0] == stem:
            words[-1] += f"/{number}"
        else:
            words.append(name)
    return ", ".join(words)


def source_in_words(recipe: Recipe) -> str:
    """The authors and the year of the paper; for recipes of our own, what they are for."""
    if not recipe.about.paper:
        return "few images"
    authors = recipe.about.paper.split(",")[0]
    year = re.search(r", (\d{4})", recipe.about.paper)
    return f"{authors} {year[1]}" if year else authors


def length_in_words(recipe: Recipe) -> str:
    """In the recipe's own unit."""
    return f"{recipe.iterations:,} steps" if recipe.iterations else f"{recipe.epochs} epochs"


def schedule_in_words(recipe: Recipe) -> str:
    """What becomes of the learning rate."""
    schedule = recipe.schedule
    milestones = " and ".join(f"{milestone:g}" for milestone in schedule.milestones)
    shape = {
        "cosine": "cosine to 0",
        "constant": "constant",
        "steps": f"x {schedule.factor:g} at {milestones} {schedule.unit}",
        "exponential": f"x {schedule.factor:g} every {schedule.every:.3g} {schedule.unit}",
        "plateau": f"x {schedule.factor:g} on a plateau, {schedule.max_reductions} times at most",
    }[schedule.name]
    if schedule.warmup_steps:
        return f"{shape}, after {schedule.warmup_steps} steps of warm-up"
    if schedule.warmup_epochs:
        return f"{shape}, after {schedule.warmup_epochs:g} epoch{'s' * (schedule.warmup_epochs != 1)} of warm-up"
    return shape


def learning_rate_in_words(recipe: Recipe) -> str:
    """The learning rate that runs, and the rule that it comes from."""
    rate, per = recipe.optimizer.learning_rate, recipe.optimizer.base_batch_size
    start = f"learning rate {recipe.peak_learning_rate:g}"
    rule = f" = {rate:g} x {recipe.batch_size} / {per}, the batch by the recipe's" if per else ""
    return f"{start}{rule}; {schedule_in_words(recipe)}"


def pixels_in_words(recipe: Recipe) -> str:
    """How a resolved recipe scales pixels.

    Example:
        >>> pixels_in_words(Recipe.load("inceptionv3"))
        'less the middle of their range, divided by 127.5'
    """
    mean, std = (
        ", ".join(f"{value:.4g}" for value in part) if isinstance(part, list) else part
        for part in (recipe.pixels.mean, recipe.pixels.std)
    )
    named = {
        "weights": "the mean image of the weights",
        "pixel": "a mean image",
        "channel": "their mean",
        "middle": "the middle of their range",
        "none": "nothing",
    }
    return f"less {named.get(mean, mean)}, divided by {std if isinstance(std, str) else f'{std:g}'}"
