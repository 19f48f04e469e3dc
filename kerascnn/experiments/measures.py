"""What of an experiment's trainings is set beside the published figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerascnn.data.dataset import DataSet
from kerascnn.evaluation import KerasPredictor, Protocol, evaluate, open_predictor
from kerascnn.evaluation.metrics import McNemar, mcnemar, top_error
from kerascnn.evaluation.predictors import load_keras
from kerascnn.evaluation.scores import Scores
from kerascnn.evaluation.study import study
from kerascnn.experiments.experiment import Claim, Experiment
from kerascnn.experiments.runs import ArmRun
from kerascnn.files.progress import Track

# Of table 3 of GoogLeNet's paper: top-5 errors in percent by models and crops.
PUBLISHED_CROPS = {(1, 1): 10.07, (1, 10): 9.15, (1, 144): 7.89, (7, 1): 8.09, (7, 10): 7.62, (7, 144): 6.67}

DASH = "–"


@dataclass(frozen=True)
class Measured:
    """A table, and what it says of the paper's claims.

    Attributes:
        head: of the columns; the first is of words, the others are of figures.
        rows: a text a column.
        figures: the rows as plain values.
        verdicts: a sentence a claim.
    """

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    figures: list[dict[str, Any]]
    verdicts: list[str] = field(default_factory=list)


def measure(experiment: Experiment, runs: Sequence[ArmRun], data: DataSet, track: Track) -> Measured:
    """The experiment's table.

    Args:
        experiment: says what is measured.
        runs: every arm with every seed.
        data: its validation images are used.
        track: shows progress.

    Example:
        >>> measure(EXPERIMENTS["depth"], runs, cifar, untracked).verdicts
        ['ResNet-110 has the lower error than ResNet-20: measured so (31.20% and 36.80%, p = 0.012).']
    """
    return MEASURES[experiment.measure](experiment, runs, data, track)


def errors(experiment: Experiment, runs: Sequence[ArmRun], data: DataSet, track: Track) -> Measured:
    """Losses and errors after the last epoch, a row an arm, averaged over seeds."""
    scores = {id(run): evaluate(open_predictor(run.folder.path), data, track=track) for run in runs if not run.diverged}
    rows, figures = [], []
    for arm in experiment.arms:
        of_arm = [run for run in runs if run.arm == arm]
        kept = [run for run in of_arm if not run.diverged]
        measured = [_of_run(run, scores.get(id(run))) for run in of_arm]
        figures += measured
        seconds = f"{np.mean([one['seconds'] for one in measured]):.0f}"
        if len(kept) < len(of_arm):
            rows.append((arm.name, arm.published, "diverged", "diverged", "diverged", seconds))
            continue
        loss = " ± ".join(f"{value:.3f}" for value in _mean_and_spread([one["training_loss"] for one in measured]))
        error = _percent([one["training_error"] for one in measured])
        test = (
            str(top_error(scores[id(kept[0])])) if len(kept) == 1 else _percent([one["top1_error"] for one in measured])
        )
        rows.append((arm.name, arm.published, loss, error, test, seconds))
    verdicts = [_verdict(claim, runs, scores) for claim in experiment.claims]
    head = ("arm", "published", "training loss", "training error", "top-1 error", "s")
    return Measured(head, rows, figures, verdicts)


def _of_run(run: ArmRun, scores: Scores | None) -> dict[str, Any]:
    figures = {
        "arm": run.arm.name,
        "seed": run.recipe.seed,
        "published": run.arm.published,
        "run": str(run.folder.path),
    }
    if scores is None:
        return {**figures, "diverged": run.diverged, "seconds": run.seconds}
    error = top_error(scores)
    return {
        **figures,
        "steps": run.steps,
        "training_loss": run.last("loss"),
        "training_error": 1 - run.last("top1"),
        "top1_error": error.rate,
        "top1_interval": [error.low, error.high],
        "top5_error": top_error(scores, 5).rate,
        "seconds": run.seconds,
    }


def _mean_and_spread(values: list[float]) -> list[float]:
    return [float(np.mean(values)), float(np.std(values, ddof=1))] if len(values) > 1 else values


def _percent(values: list[float]) -> str:
    return " ± ".join(f"{value:.2%}" for value in _mean_and_spread(values))


def _verdict(claim: Claim, runs: Sequence[ArmRun], scores: dict[int, Scores]) -> str:
    """Whether what the paper says was measured; errors on test images are tested, if there is one seed."""
    better, worse = ([run for run in runs if run.arm.name == name] for name in (claim.better, claim.worse))
    if any(run.diverged for run in better):
        return f"{claim.words}: not measured, {claim.better} diverged."
    if any(run.diverged for run in worse):
        return f"{claim.words}: measured so, {claim.worse} diverged."
    low, high = (float(np.mean([_figure(run, claim, scores) for run in some])) for some in (better, worse))
    test = None
    if claim.figure == "top-1 error" and len(better) == len(worse) == 1:
        test = mcnemar(scores[id(better[0])], scores[id(worse[0])])
    return f"{claim.words}: {_in_words(low, high, test)}."


def _figure(run: ArmRun, claim: Claim, scores: dict[int, Scores]) -> float:
    return 1 - run.last("top1") if claim.figure == "training error" else top_error(scores[id(run)]).rate


def _in_words(low: float, high: float, test: McNemar | None) -> str:
    figures = f"{low:.2%} and {high:.2%}"
    if test is not None:
        figures += f", p = {test.p:.2g}"
        if test.better == "neither":
            return f"no difference shown ({figures})"
        return f"measured so ({figures})" if low < high else f"measured otherwise ({figures})"
    return f"so in these runs ({figures})" if low < high else f"not so in these runs ({figures})"


def folding(experiment: Experiment, runs: Sequence[ArmRun], data: DataSet, track: Track) -> Measured:
    """How far the probabilities of a network and of its folded form are from each other."""
    from kerascnn.export import deployable
    from kerascnn.export.deployable import in_float32
    from kerascnn.export.folding import foldable

    rows, figures = [], []
    for run in runs:
        model = load_keras(run.folder.model_file)
        forms = (in_float32(model), deployable(model))
        before, after = (evaluate(KerasPredictor(form), data, track=track) for form in forms)
        one = {
            "arm": run.arm.name,
            "seed": run.recipe.seed,
            "run": str(run.folder.path),
            "batch_normalizations": len(foldable(forms[0])),
            "layers_before": len(forms[0].layers),
            "layers_after": len(forms[1].layers),
            "images": len(before.labels),
            "same_class": int(np.count_nonzero(before.predictions == after.predictions)),
            "largest_difference": float(np.abs(before.probabilities - after.probabilities).max()),
            "top1_error": top_error(before).rate,
            "top1_error_folded": top_error(after).rate,
        }
        figures.append(one)
        rows.append((
            run.arm.name, str(one["batch_normalizations"]), f"{one['layers_before']} → {one['layers_after']}",
            f"{one['same_class']} of {one['images']}", f"{one['largest_difference']:.1e}",
            f"{one['top1_error']:.2%}", f"{one['top1_error_folded']:.2%}",
        ))  # fmt: skip
    head = ("arm", "folded", "layers", "same class", "max Δp", "top-1 error", "folded's")
    return Measured(head, rows, figures)


def crops(experiment: Experiment, runs: Sequence[ArmRun], data: DataSet, track: Track) -> Measured:
    """Errors by the number of models and of crops."""
    protocols = [Protocol("1 crop"), Protocol("10 crops"), Protocol("144 crops")]
    measured = study([run.folder.path for run in runs if not run.diverged], data, protocols, track=track)
    rows, figures = [], []
    for row in measured.by_models_and_views():
        models, views = len(row.models), row.views // len(row.models)
        published = PUBLISHED_CROPS.get((models, views))
        top1, top5 = top_error(row.scores), top_error(row.scores, 5)
        figures.append(
            {
                "models": models, "crops": row.protocol, "views": row.views, "published_top5_error": published,
                "top1_error": top1.rate, "top5_error": top5.rate, "top1_interval": [top1.low, top1.high],
                "top5_interval": [top5.low, top5.high], "seconds": row.seconds,
            }
        )  # fmt: skip
        name = f"{models} model{'s' if models > 1 else ''}, {row.protocol}"
        rows.append((name, DASH if published is None else f"{published}", f"{top1.rate:.2%}", str(top5)))
    return Measured(("models and crops", "published", "top-1 error", "top-5 error"), rows, figures)


MEASURES: dict[str, Callable[..., Measured]] = {"errors": errors, "folding": folding, "crops": crops}
