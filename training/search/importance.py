"""How much each searched field mattered, as far as the trials tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerascnn.training.search.domains import Choice, Range
from kerascnn.training.search.journal import Record
from kerascnn.training.search.objective import Objective
from kerascnn.training.search.space import Parameter, Space

# With fewer trials a forest only repeats them.
FEWEST = 8

EPOCHS = "epochs trained"


def importances(space: Space, records: Sequence[Record], objective: Objective) -> dict[str, float]:
    """Shares of what a random forest can tell of the objective from each field (Breiman, 2001, section 10).

    A field's values are shuffled over the trials, and the fall of the forest's fit is its importance; they are divided
    by their sum. How long a trial trained counts as a field where that differs.

    Returns:
        A share for every parameter's name, the greatest first; nothing with fewer than 8 trials that did not fail, or
        where all came out alike.
    """
    scored = [record for record in records if record.score is not None]
    if len(scored) < FEWEST or len({record.score for record in scored}) == 1:
        return {}
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    names = [parameter.name for parameter in space.parameters]
    rows = [[position(parameter, record) for parameter in space.parameters] for record in scored]
    if len({len(record.curve) for record in scored}) > 1:
        names.append(EPOCHS)
        rows = [[*row, float(len(record.curve))] for row, record in zip(rows, scored, strict=True)]
    inputs, scores = np.array(rows), np.array([record.score for record in scored])
    forest = RandomForestRegressor(n_estimators=200, random_state=0).fit(inputs, scores)
    found = permutation_importance(forest, inputs, scores, n_repeats=20, random_state=0).importances_mean.clip(0)
    shares = found / (found.sum() or 1.0)
    return {names[place]: float(shares[place]) for place in np.argsort(-shares, kind="stable")}


def position(parameter: Parameter, record: Record) -> float:
    """Where a trial's value lies in its parameter's domain, from 0 to 1; -0.25 where it did not matter."""
    if parameter.name not in record.values:
        return -0.25
    value, found = parameter.meant(record.values[parameter.name]), parameter.domain
    if isinstance(found, Range):
        return found.share(value)
    assert isinstance(found, Choice)
    return found.options.index(value) / max(1, len(found.options) - 1)
