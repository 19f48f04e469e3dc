"""Measurements of an experiment's trainings, for a table next to the published results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerascnn.data.dataset import DataSet
from kerascnn.evaluation import KerasPredictor, Protocol, evaluate, open_predictor
from kerascnn.evaluation.keras_models import load_keras
from kerascnn.evaluation.metrics import mcnemar, top_accuracy
from kerascnn.evaluation.scores import Scores
from kerascnn.evaluation.study import study
from kerascnn.experiments.experiment import Claim, Experiment
from kerascnn.experiments.runs import ArmRun
from kerascnn.experiments.transfer import figure_of, results_of, sentences
from kerascnn.files.progress import Track
from kerascnn.keras_internals import all_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Top-5 accuracies in percent by models and crops: 100 - the errors of table 3 of GoogLeNet's paper.
PUBLISHED_CROPS = {(1, 1): 89.93, (1, 10): 90.85, (1, 144): 92.11, (7, 1): 91.91, (7, 10): 92.38, (7, 144): 93.33}


@dataclass(frozen=True)
class Measured:
    """The table of an experiment, and the results for the paper's claims."""

    head: tuple[str, ...]  # the titles of the columns; the first column is text, the others are numbers
    rows: list[tuple[str, ...]]  # one text per column
    values: list[dict[str, Any]]  # the rows as plain values
    claim_results: list[str] = field(default_factory=list)  # one sentence per claim
    figure: Figure | None = None  # in place of the curves by epoch


def measure(experiment: Experiment, runs: Sequence[ArmRun], data: DataSet, track: Track) -> Measured:
    """Measures all runs of an experiment on the validation images of the data.

    Example:
        >>> measure(EXPERIMENTS["depth"], runs, cifar, untracked).claim_results
        ['ResNet-110 has a higher accuracy than ResNet-20: confirmed (68.80% and 63.20%, p = 0.012).']
    """
    tables = {"accuracies": accuracies, "slopes": slopes, "folding": folding, "crops": crops, "transfer": transferred}
    return tables[experiment.measure](experiment, runs, data, track)


def accuracies(experiment: Experiment, runs: Sequence[ArmRun], data: DataSet, track: Track) -> Measured:
    """Losses and accuracies after the last epoch, one row per arm, averaged over seeds."""
    scores = {id(run): evaluate(open_predictor(run.folder.path), data, track=track) for run in runs if not run.diverged}
    rows, values = [], []
    for arm in experiment.arms:
        arm_runs = [run for run in runs if run.arm == arm]
        if not arm_runs:
            rows.append((arm.name, arm.published, *["not trained"] * 3, "–"))
            continue
        measured = [_run_values(run, scores.get(id(run))) for run in arm_runs]
        values += measured
        cells = ["diverged"] * 3
        if not any(run.diverged for run in arm_runs):
            forms = {"training_loss": ".3f", "training_accuracy": ".2%", "top1_accuracy": ".2%"}
            cells = [_mean_and_deviation([one[name] for one in measured], form) for name, form in forms.items()]
            if len(arm_runs) == 1:
                cells[2] = str(top_accuracy(scores[id(arm_runs[0])]))
        rows.append((arm.name, arm.published, *cells, f"{np.mean([one['seconds'] for one in measured]):.0f}"))
    head = ("arm", "published", "training loss", "training accuracy", "top-1 accuracy", "s")
    return Measured(head, rows, values, [_claim_result(claim, runs, scores) for claim in experiment.claims])


def slopes(experiment: Experiment, runs: Sequence[ArmRun], data: DataSet, track: Track) -> Measured:
    """`accuracies`, and of every run with PReLUs the slopes that its layers learned: the means over channels."""
    measured = accuracies(experiment, runs, data, track)
    trained = {str(run.folder.path): run for run in runs if not run.diverged}
    said = []
    for value in measured.values:
        found = _mean_slopes(trained[value["run"]]) if value["run"] in trained else {}
        if found:
            value["slopes"] = found
            first, low, high = next(iter(found)), min(found, key=found.get), max(found, key=found.get)
            said.append(
                f"{value['arm']}, seed {value['seed']}: the slopes that its layers learned are on average "
                f"{found[first]:.2f} in {first}, and from {found[low]:.2f} in {low} to {found[high]:.2f} in {high}."
            )
    return replace(measured, claim_results=[*measured.claim_results, *said])


def _mean_slopes(run: ArmRun) -> dict[str, float]:
    layers = [one for one in all_layers(load_keras(run.folder.model_file)) if isinstance(one, keras.layers.PReLU)]
    return {one.name.removesuffix("_prelu"): float(np.mean(one.alpha)) for one in layers}


def _run_values(run: ArmRun, scores: Scores | None) -> dict[str, Any]:
    run_of = {"arm": run.arm.name, "seed": run.recipe.seed, "published": run.arm.published, "run": str(run.folder.path)}
    if scores is None:
        return {**run_of, "diverged": run.diverged, "seconds": run.seconds}
    accuracy = top_accuracy(scores)
    return {
        **run_of, "steps": run.steps, "training_loss": run.last("loss"), "training_accuracy": run.last("top1"),
        **accuracy.to_dict(),
        "top5_accuracy": scores.accuracy(5), "seconds": run.seconds,
    }  # fmt: skip


def _mean_and_deviation(values: list[float], form: str) -> str:
    """The mean and, of several values, the standard deviation of a sample."""
    statistics = [np.mean(values), np.std(values, ddof=1)] if len(values) > 1 else values
    return " ± ".join(f"{float(value):{form}}" for value in statistics)


def _claim_result(claim: Claim, runs: Sequence[ArmRun], scores: dict[int, Scores]) -> str:
    """A sentence about a claim; with one seed, accuracies on test images are compared by McNemar's test."""
    better, worse = ([run for run in runs if run.arm.name == name] for name in (claim.better, claim.worse))
    if any(run.diverged for run in better):
        return f"{claim.text}: not measured, {claim.better} diverged."
    if any(run.diverged for run in worse):
        return f"{claim.text}: confirmed, {claim.worse} diverged."

    def accuracy(run: ArmRun) -> float:
        return run.last("top1") if claim.metric == "training accuracy" else scores[id(run)].accuracy()

    high, low = (float(np.mean([accuracy(run) for run in arm_runs])) for arm_runs in (better, worse))
    if claim.metric == "top-1 accuracy" and len(better) == len(worse) == 1:
        test = mcnemar(scores[id(better[0])], scores[id(worse[0])])
        result = "confirmed" if high > low else "contradicted"
        result = "no significant difference" if test.better == "neither" else result
        return f"{claim.text}: {result} ({high:.2%} and {low:.2%}, p = {test.p:.2g})."
    return f"{claim.text}: {'true' if high > low else 'not true'} of these runs ({high:.2%} and {low:.2%})."


def transferred(experiment: Experiment, runs: Sequence[ArmRun], data: DataSet, track: Track) -> Measured:
    """Accuracies and seconds by images per class and arm: medians over seeds, with the least and the greatest."""
    results = results_of(experiment, runs)
    rows, values = [], []
    for one in results:
        least, greatest = min(one.accuracies), max(one.accuracies)
        spread = "" if least == greatest else f" ({least:.1%} to {greatest:.1%})"
        rows.append((one.arm, str(one.images), f"{one.accuracy:.1%}{spread}", f"{one.seconds:.1f}"))
        values.append({**asdict(one), "accuracy": one.accuracy, "interval": [one.interval.low, one.interval.high]})
    figure = figure_of(experiment, runs, f"{data.name}: accuracy by seconds of training")
    head = ("arm", "images per class", "accuracy", "s")
    return Measured(head, rows, values, sentences(results), figure)


def folding(experiment: Experiment, runs: Sequence[ArmRun], data: DataSet, track: Track) -> Measured:
    """Differences between the probabilities of each network before and after folding."""
    from kerascnn.export.folding import foldable
    from kerascnn.export.inference_network import deployable, in_float32

    rows, values = [], []
    for run in runs:
        model = load_keras(run.folder.model_file)
        original, folded = in_float32(model), deployable(model)
        before, after = (evaluate(KerasPredictor(network), data, track=track) for network in (original, folded))
        value = {
            "arm": run.arm.name, "seed": run.recipe.seed, "run": str(run.folder.path),
            "batch_normalizations": len(foldable(original)),
            "layers_before": len(original.layers), "layers_after": len(folded.layers), "images": len(before.labels),
            "same_class": int(np.count_nonzero(before.predictions == after.predictions)),
            "largest_difference": float(np.abs(before.probabilities - after.probabilities).max()),
            "top1_accuracy": before.accuracy(), "top1_accuracy_folded": after.accuracy(),
        }  # fmt: skip
        values.append(value)
        cells = (
            "{arm}", "{batch_normalizations}", "{layers_before} → {layers_after}", "{same_class} of {images}",
            "{largest_difference:.1e}", "{top1_accuracy:.2%}", "{top1_accuracy_folded:.2%}",
        )  # fmt: skip
        rows.append(tuple(cell.format(**value) for cell in cells))
    head = ("arm", "folded", "layers", "same class", "max Δp", "top-1 accuracy", "folded's")
    return Measured(head, rows, values)


def crops(experiment: Experiment, runs: Sequence[ArmRun], data: DataSet, track: Track) -> Measured:
    """Accuracies by the number of models and of crops."""
    protocols = [Protocol("1 crop"), Protocol("10 crops"), Protocol("144 crops")]
    measured = study([run.folder.path for run in runs if not run.diverged], data, protocols, track=track)
    rows, values = [], []
    for row in measured.by_models_and_views():
        models = len(row.models)
        published = PUBLISHED_CROPS.get((models, row.views // models))
        top1, top5 = top_accuracy(row.scores), top_accuracy(row.scores, 5)
        values.append(
            {
                "models": models, "crops": row.protocol, "views": row.views, "published_top5_accuracy": published,
                **top1.to_dict(), **top5.to_dict(5), "seconds": row.seconds,
            }
        )  # fmt: skip
        name = f"{models} model{'s' if models > 1 else ''}, {row.protocol}"
        rows.append((name, "–" if published is None else f"{published}", f"{top1.share:.2%}", str(top5)))
    return Measured(("models and crops", "published", "top-1 accuracy", "top-5 accuracy"), rows, values)
