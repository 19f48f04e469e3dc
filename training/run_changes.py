"""What has changed since a run was stopped: named, and refused unless the user accepts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kerascnn.data.dataset import DataSet
from kerascnn.errors import InputError
from kerascnn.training.batches import steps_per_epoch
from kerascnn.training.callbacks.event_files import flatten
from kerascnn.training.checkpoints.files import Checkpoint, Position
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run_folder import RunFolder
from kerascnn.training.run_images import write_images


def check_changes(
    folder: RunFolder, checkpoint: Checkpoint | None, recipe: Recipe, data: DataSet, accept_changes: bool
) -> list[str]:
    """What differs between the run so far and the recipe and data to go on with, as phrases.

    Raises:
        InputError: there are such changes, and they are not accepted; or the data have other classes.
    """
    changes = folder.changed_data(data) + changed_fields(checkpoint.recipe if checkpoint else {}, recipe)
    if changes and not accept_changes:
        raise InputError(
            f"{folder.path} cannot be resumed as it began: {'; '.join(changes)}; put this right, or go on with the "
            "changes by --accept-changes (in Python accept_changes=True)."
        )
    return changes


def fitting(checkpoint: Checkpoint, folder: RunFolder, steps: int) -> Checkpoint:
    """The checkpoint at the begin of its epoch, if that has another number of steps than when it was begun."""
    step, before = checkpoint.position.step, folder.read_record().facts.get("steps_per_epoch")
    if step and (before != steps or step > steps):
        return replace(checkpoint, position=Position(checkpoint.position.epochs))
    return checkpoint


def changed_fields(before: dict[str, Any], recipe: Recipe) -> list[str]:
    """The fields in which a recipe differs from the one before, as phrases; none if that is of another version."""
    try:
        # Fields that are new have their default.
        known = Recipe.from_dict(before, "the checkpoint") if before else recipe
    except InputError:
        return []
    was, now = ({name: value for name, value in one.to_dict().items() if name != "about"} for one in (known, recipe))
    was, now = flatten(was), flatten(now)
    return [
        f"the recipe's {name} is {now.get(name, 'unset')} and was {was.get(name, 'unset')} at the checkpoint"
        for name in sorted(was | now)
        if was.get(name) != now.get(name)
    ]


def record_changes(
    folder: RunFolder,
    checkpoint: Checkpoint | None,
    recipe: Recipe,
    data: DataSet,
    changes: list[str],
    warn: Callable[[str], Any],
) -> None:
    """Writes into the run folder what holds from here on; `warn` is called with a sentence about it."""
    record = folder.read_record()
    if record.data.source != data.source:
        if not changes:
            warn(f"the images of {record.data.source} are in {data.source} now, and are the same")
        folder.update(data={"source": data.source, "options": data.options.to_dict()})
    if changes:
        warn(f"accepted: {'; '.join(changes)}")
        accepted = {"position": str(checkpoint.position if checkpoint else Position()), "changes": changes}
        facts = {"training_images": len(data.training), "validation_images": len(data.validation)}
        facts |= {"steps_per_epoch": steps_per_epoch(recipe, data)}
        facts |= {"accepted_changes": [*record.facts.get("accepted_changes", ()), accepted]}
        folder.update(recipe=recipe.to_dict(), facts=facts)
        write_images(folder.images_file, data)
