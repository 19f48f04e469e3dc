"""A classifier fitted to features: logistic regression whose penalty is chosen by cross-validation, calibrated."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, softmax
from threadpoolctl import ThreadpoolController

from kerascnn.average_precision import mean_average_precision
from kerascnn.training.multi_label import THRESHOLD

FOLDS = 5
# The inverse strengths of the L2 penalty that are tried, scikit-learn's C, for features of deviation 1.
PENALTIES = tuple(10.0 ** (half / 2) for half in range(-8, 1))
DEFAULT_PENALTY = 1e-3  # Where no image can be held out
COMPARED_IMAGES = 2000  # Cross-validation uses so many images at most: its standard error is then 1 % or less
LEAST_PROBABLE = 1e-7  # Less is rounded to 0 in float32, beside 1
STEPS = 500  # Of L-BFGS, which needs fewer
# By how much of the loss another step changes it in the end: to compare penalties, and to convergence.
COMPARED, CONVERGED = 1e-6, 1e-10
MOST_ROTATED = 2048  # Images or features, whichever are fewer: the axes then take a second or two
LEAST_SQUARE = 1e-7  # Of the images along a principal axis, as a share of the largest; below is rounding in float32


@dataclass(frozen=True, eq=False)
class Problem:
    """Features and labels to be fitted.

    Attributes:
        features: float32 (images, width).
        labels: int (images,); of multi-label data 0 or 1 (images, classes).
        classes: their number.
        groups: equal for images that are held out together; None if there are none.
        weights: float32 (images, 1) of the images in the loss, or (images, classes) of each label.
        seed: of the division into folds.
    """

    features: np.ndarray
    labels: np.ndarray
    classes: int
    groups: np.ndarray | None = None
    weights: np.ndarray | float = 1.0
    seed: int = 0

    @property
    def multi_label(self) -> bool:
        return self.labels.ndim == 2

    @functools.cached_property
    def targets(self) -> np.ndarray:
        """float32 (images, classes), one-hot or multi-hot."""
        return (self.labels if self.multi_label else np.eye(self.classes)[self.labels]).astype(np.float32)

    def doubted(self) -> Problem:
        """The same with targets between 0 and 1, as if there were one more image of every class.

        Held-out images that are all right would otherwise call for probabilities of exactly 0 and 1 (Platt, 1999).
        """
        count, other = len(self.labels), 1 / 2 if self.multi_label else 1 / self.classes
        doubted = replace(self)
        doubted.__dict__["targets"] = self.targets + (other - self.targets) / (1 + count * other)
        return doubted

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(images, classes): the softmax of the logits, or of multi-label data their sigmoid."""
        return expit(logits) if self.multi_label else softmax(logits, axis=1)

    def loss(self, logits: np.ndarray) -> float:
        """The mean cross-entropy of an image."""
        return self.loss_and_errors(logits)[0]

    def loss_and_errors(self, logits: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean cross-entropy of an image, and its gradient by the logits times the number of images."""
        if self.multi_label:
            terms, predicted = np.logaddexp(0, logits) - self.targets * logits, expit(logits)
        else:
            logarithms = log_softmax(logits, axis=1)
            terms, predicted = -self.targets * logarithms, np.exp(logarithms)
        loss = (self.weights * terms).sum(dtype=float) / len(logits)
        return float(loss), (predicted - self.targets) * self.weights

    def accuracy(self, logits: np.ndarray) -> float:
        """The share of images that are classified right; of multi-label data the mAP."""
        if self.multi_label:
            return mean_average_precision(self.labels > 0, self.probabilities(logits))
        return float((logits.argmax(axis=1) == self.labels).mean())

    def metrics(self, logits: np.ndarray) -> dict[str, float]:
        """Loss and accuracies by their names in a history: top1 and top5, of multi-label data microf1 and macrof1."""
        from sklearn.metrics import f1_score

        if self.multi_label:
            predicted = self.probabilities(logits) > THRESHOLD
            kinds = ("micro", "macro")
            found = {f"{kind}f1": f1_score(self.labels, predicted, average=kind, zero_division=0.0) for kind in kinds}
        else:
            ranks = (logits > np.take_along_axis(logits, self.labels[:, None], axis=1)).sum(axis=1)
            found = {f"top{count}": (ranks < count).mean() for count in ((1, 5) if self.classes > 5 else (1,))}
        return {"loss": self.loss(logits), **{name: float(value) for name, value in found.items()}}

    def take(self, rows: np.ndarray) -> Problem:
        """The images at `rows`."""
        groups = None if self.groups is None else self.groups[rows]
        weights = self.weights[rows] if np.ndim(self.weights) else self.weights
        return Problem(self.features[rows], self.labels[rows], self.classes, groups, weights, self.seed)

    def folds(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows to fit and rows held out, by class where there is one, groups together; none if it is impossible."""
        groups = None if self.groups is None else np.unique(self.groups, return_inverse=True)[1].astype(np.int64)
        labels = np.ascontiguousarray(self.labels, np.int64)
        return _folds(labels.tobytes(), labels.shape, None if groups is None else groups.tobytes(), self.seed)


@functools.lru_cache(maxsize=2)
def _folds(
    labels: bytes, shape: tuple[int, ...], groups: bytes | None, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """`Problem.folds`, which are the same for the features of every place, by the bytes of labels and groups."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    targets, units = np.frombuffer(labels, np.int64).reshape(shape), shape[0]
    together = None
    if groups is not None:
        together = np.frombuffer(groups, np.int64)
        units = len(np.unique(together))
    multi_label = len(shape) == 2
    kind = ((KFold, GroupKFold) if multi_label else (StratifiedKFold, StratifiedGroupKFold))[groups is not None]
    parts = min(FOLDS, units, shape[0] if multi_label else np.bincount(targets).max())
    if parts < 2:
        return []
    with warnings.catch_warnings():
        # Some class has fewer images than there are folds.
        warnings.simplefilter("ignore")
        made = kind(parts, shuffle=True, random_state=seed).split(targets, targets, together)
        return [(fitted, tested) for fitted, tested in made if len(fitted) and len(tested)]


@dataclass(frozen=True)
class CrossValidated:
    """What cross-validation says of features.

    Attributes:
        penalty: the best C, the inverse strength of the L2 penalty.
        temperature: that logits are divided by, so that held-out images have the probabilities that they should.
        accuracy: the share of held-out images that are classified right, of multi-label data the mAP; nan where no
            image can be held out.
        standard_error: of the accuracy.
        loss: the mean cross-entropy of a held-out image.
    """

    penalty: float = DEFAULT_PENALTY
    temperature: float = 1.0
    accuracy: float = float("nan")
    standard_error: float = float("nan")
    loss: float = float("nan")


@dataclass(frozen=True, eq=False)
class Head:
    """The weights of a dense layer for features as they are: its softmax, or sigmoid, is calibrated.

    Attributes:
        kernel, bias: float32 (width, classes) and (classes,).
    """

    kernel: np.ndarray = field(repr=False)
    bias: np.ndarray = field(repr=False)


def _on_one_core(function):
    """Lets NumPy use one thread: the bits do not depend on the number of cores, and several wait for each other."""

    @functools.wraps(function)
    def limited(*arguments, **named):
        with ThreadpoolController().limit(limits=1, user_api="blas"):
            return function(*arguments, **named)

    return limited


@_on_one_core
def cross_validated(problem: Problem, guess: float = DEFAULT_PENALTY) -> CrossValidated:
    """Chooses the penalty with the least held-out loss, from a guess on in the direction in which it falls.

    Of more than 2,000 images a random part is used. The penalty of similar features is a good guess.

    Example:
        >>> cross_validated(Problem(features, labels, classes=2)).accuracy
        0.825
    """
    if len(problem.labels) > COMPARED_IMAGES:
        rows = np.random.default_rng(problem.seed).choice(len(problem.labels), COMPARED_IMAGES, replace=False)
        problem = problem.take(np.sort(rows))
    folds = problem.folds()
    if not folds:
        return CrossValidated()
    scaled, judged = _Scaled(problem), problem.doubted()
    starts: list[np.ndarray | None] = [None] * len(folds)

    @functools.cache
    def held_out(index: int) -> tuple[float, float, np.ndarray]:
        """The loss, temperature and logits of images that are held out, with one of the penalties."""
        logits = np.empty(problem.targets.shape)
        for number, (fitted, tested) in enumerate(folds):
            starts[number] = scaled.solve(fitted, PENALTIES[index], COMPARED, starts[number])
            logits[tested] = scaled.logits(tested, starts[number])
        temperature = _temperature(judged, logits)
        return judged.loss(logits / temperature), temperature, logits / temperature

    best = min(range(len(PENALTIES)), key=lambda index: abs(np.log(PENALTIES[index] / guess)))
    for step in (-1, 1):
        index, worse = best, 0
        while worse < 2 and 0 <= index + step < len(PENALTIES):
            index += step
            better = held_out(index)[0] < held_out(best)[0]
            best, worse = (index, 0) if better else (best, worse + 1)
    loss, temperature, logits = held_out(best)
    accuracy = problem.accuracy(logits)
    return CrossValidated(PENALTIES[best], temperature, accuracy, _standard_error(problem, logits, folds), loss)


def calibrated_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean cross-entropy of an image, once one temperature for all of them makes the probabilities as right as can.

    Of two models it prefers the more accurate one more often than their accuracies on the same few images do: they
    differ in every image, not only in those that one of them classifies wrong.

    Args:
        labels: int (images,); of multi-label data 0 or 1 (images, classes).
        probabilities: (images, classes), of images that the model was not trained on.

    Example:
        >>> calibrated_loss(labels, model.predict(images))
        0.41
    """
    likely = np.clip(probabilities.astype(float), LEAST_PROBABLE, 1 - LEAST_PROBABLE)
    logits = np.log(likely) - (np.log1p(-likely) if labels.ndim == 2 else 0)
    problem = Problem(np.zeros((len(labels), 0)), labels, probabilities.shape[1]).doubted()
    return problem.loss(logits / _temperature(problem, logits))


@_on_one_core
def fit_head(problem: Problem, penalty: float, temperature: float = 1.0) -> Head:
    """Fits all images to convergence, with a penalty and a temperature that `cross_validated` has chosen.

    Each feature is scaled to mean 0 and deviation 1 before, and the scaling is folded into the result.

    Example:
        >>> problem = Problem(features, labels, classes=2)
        >>> head = fit_head(problem, penalty=1e-3)
        >>> (features @ head.kernel + head.bias).argmax(axis=1)
    """
    scaled = _Scaled(problem)
    kernel, bias = scaled.unscaled(scaled.solve(np.arange(len(problem.labels)), penalty, CONVERGED))
    return Head(*(np.float32(one / temperature) for one in (kernel, bias)))


class _Scaled:
    """A problem with features of mean 0 and deviation 1, rotated to the principal axes of all its images.

    A rotation changes neither the solutions nor their penalty. Along these axes the curvature of the loss is known
    well enough for L-BFGS to need ten steps instead of a hundred.
    """

    def __init__(self, problem: Problem):
        features = problem.features
        self.mean, deviation = features.mean(axis=0, dtype=float), features.std(axis=0, dtype=float)
        # Features that are always the same say nothing.
        self.scale = np.where(
            deviation > 1e-6 * np.abs(features).max(initial=1e-30), 1 / np.maximum(deviation, 1e-30), 0
        )
        values = ((features - self.mean) * self.scale).astype(np.float32)
        self.basis, self.variances = _principal_axes(values)
        self.values = values if self.basis is None else values @ self.basis
        self.problem = problem

    def solve(self, rows: np.ndarray, penalty: float, precision: float, start: np.ndarray | None = None) -> np.ndarray:
        """The coefficients, (axes + 1, classes) with the bias last, that fit some images, by L-BFGS."""
        part, values = self.problem.take(rows), self.values[rows]
        shape, strength = (values.shape[1] + 1, part.targets.shape[1]), 1 / (penalty * len(rows))
        share = part.targets.mean()
        # The curvature of the loss where nothing is known yet; L-BFGS takes steps in its units.
        curvature = share * (1 - share) * np.append(self.variances, 1.0) + np.append(np.full(shape[0] - 1, strength), 0)
        units = (1 / np.sqrt(np.maximum(curvature, 1e-12)))[:, None]

        def loss_and_gradient(flat):
            coefficients = flat.reshape(shape) * units
            logits = values @ coefficients[:-1].astype(np.float32) + coefficients[-1].astype(np.float32)
            loss, errors = part.loss_and_errors(logits)
            gradient = np.vstack([values.T @ errors, errors.sum(axis=0)]) / len(rows)
            gradient[:-1] += strength * coefficients[:-1]
            loss += 0.5 * strength * (coefficients[:-1] ** 2).sum()
            return loss, (gradient * units).astype(float).ravel()

        first = np.zeros(shape) if start is None else start / units
        options = {"maxiter": STEPS, "ftol": precision, "gtol": precision**0.5}
        found = minimize(loss_and_gradient, first.ravel(), jac=True, method="L-BFGS-B", options=options)
        return found.x.reshape(shape) * units

    def logits(self, rows: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        return self.values[rows] @ coefficients[:-1] + coefficients[-1]

    def unscaled(self, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias for the features as they are."""
        kernel = coefficients[:-1] if self.basis is None else self.basis @ coefficients[:-1]
        kernel = kernel * self.scale[:, None]
        return kernel, coefficients[-1] - self.mean @ kernel


def _principal_axes(values: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Unit vectors as columns, and the variance of the images along each; axes without images are left out.

    None, for the features as they are, where to find the axes would take longer than they save.
    """
    images, width = values.shape
    if min(images, width) > MOST_ROTATED:
        return None, values.var(axis=0, dtype=float)
    by_images = images < width
    squares, axes = eigh(values @ values.T if by_images else values.T @ values, driver="evd")
    kept = squares > LEAST_SQUARE * squares.max(initial=0)
    squares, axes = squares[kept], axes[:, kept]
    return values.T @ (axes / np.sqrt(squares)) if by_images else axes, squares.astype(float) / images


def _temperature(problem: Problem, logits: np.ndarray) -> float:
    found = minimize_scalar(lambda power: problem.loss(logits / np.exp(power)), bounds=(-6, 3), method="bounded")
    return float(np.exp(found.x))


def _standard_error(problem: Problem, logits: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    if not problem.multi_label:
        accuracy = problem.accuracy(logits)
        return float(np.sqrt(accuracy * (1 - accuracy) / len(logits)))
    parts = [problem.take(tested).accuracy(logits[tested]) for _, tested in folds]
    return float(np.nanstd(parts, ddof=1) / np.sqrt(len(parts)))
