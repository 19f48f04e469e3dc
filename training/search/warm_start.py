"""Where a search begins: with the recipe itself, and with what was best in searches before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerascnn.errors import InputError
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.journal import Journal
from kerascnn.training.search.plan import SearchFolder
from kerascnn.training.search.result import ranked
from kerascnn.training.search.space import Space

# Of every earlier search.
BEST = 5


def first_values(space: Space, recipe: Recipe, searches: Sequence[str | Path]) -> list[dict[str, Any]]:
    """The values to be tried before all others, by the oracle's names, none twice.

    Args:
        space: outside of which nothing is tried.
        recipe: whose own values come first.
        searches: folders of earlier searches, of which each gives its best trials.

    Raises:
        InputError: a folder holds no search, or none of its trials lies in the space.
    """
    found = [space.values(recipe)]
    for path in searches:
        folder = SearchFolder.open(Path(path))
        records = ranked(Journal(folder.trials, lambda sentence: None).records(), folder.read_plan().objective)
        recipes = [Recipe.from_dict(record.recipe, str(path)) for record in records if record.score is not None]
        fitting = [values for values in map(space.values, recipes) if values is not None]
        distinct = [values for place, values in enumerate(fitting) if values not in fitting[:place]]
        if not distinct:
            raise InputError(f"no trial of {path} lies in the space; take a space that holds one, or no warm start.")
        found += distinct[:BEST]
    return [values for place, values in enumerate(found) if values is not None and values not in found[:place]]
