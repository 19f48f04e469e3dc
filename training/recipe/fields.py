"""The groups of hyperparameters in a recipe, as checked dataclasses.

All raise InputError for a value outside its range, and for values that conflict.
"""

from __future__ import annotations

import operator
import re
from dataclasses import field, replace
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from kerascnn.data.pipeline.channels import LUMA
from kerascnn.errors import InputError
from kerascnn.files.secret_urls import concealed
from kerascnn.image_shape import GRAY
from kerascnn.training.recipe.validation import Fraction, checked_dataclass

PerChannel = Annotated[list[float], Field(min_length=3, max_length=3)]
WHOLE, BEST = "none", "auto"  # Of `FineTuning.cut`: the whole network, and the place of the most accurate probe
PositivePerChannel = Annotated[list[PositiveFloat], Field(min_length=3, max_length=3)]


def check_pattern(name: str, pattern: str) -> None:
    """Raises InputError if the value of a field is not a regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise InputError(f"{name} '{pattern}' is not a regular expression: {error}.") from None


@checked_dataclass("about")
class About:
    """The source of a recipe.

    Attributes:
        paper: authors, title, year, section; empty for a recipe of this project.
        kind: "paper" follows a publication, "modern" later practice, "small" is for few images, "transfer" starts from
            pretrained weights.
        networks: the networks that the recipe is for; empty for every network.
        differences: deviations from the source, and choices that the source leaves open.
    """

    paper: str = ""
    kind: Literal["paper", "modern", "small", "transfer"] = "small"
    networks: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


@checked_dataclass("optimizer")
class Optimizer:
    """The optimizer and its regularization.

    Attributes:
        name: "sgd" (with momentum), "adam" or "rmsprop".
        learning_rate: the peak, which the schedule multiplies.
        base_batch_size: the batch size that `learning_rate` is for; for other batch sizes it is scaled linearly (Goyal
            et al., 2017). None keeps the learning rate for every batch size.
        momentum: of SGD and RMSProp; v = momentum x v - learning rate x gradient, as in AlexNet's section 5 and Caffe.
        nesterov: whether SGD uses Nesterov momentum.
        rho: decay of RMSProp's mean square.
        epsilon: of Adam, and of RMSProp, inside the root as in TensorFlow.
        weight_decay: the coefficient; 0 for none.
        weight_decay_form: "l2" adds weight_decay x weight to the gradient, after clipping and before momentum, as the
            papers do. "decoupled" subtracts learning rate x weight_decay x weight. Neither is part of the loss.
        weight_decay_exclude: kinds of weights without weight decay: "bias", "gamma" and "beta" of normalizations, and
            "alpha", the slopes of parametric ReLUs.
        clip_norm: the maximal global norm of the gradients, or None.
        max_filter_rms: the maximal root mean square of a convolution's filter, which each step rescales to it (ZFNet,
            section 3), or None.
        max_norms: the maximal Euclidean norm of a filter, or of a dense unit's weights, to which each step scales it
            down, by a regular expression of layers' names (Maxout, section 5): {"^conv": 0.9, "^fc": 1.9}.
        lr_factors: factors of the learning rate, by a regular expression of a weight's path: {"bias$": 2.0}; the last
            that matches counts.
        initial_momentum: of SGD; from it, momentum rises linearly to `momentum`, over `momentum_epochs`. None for the
            same momentum from the beginning.
        momentum_epochs: see `initial_momentum`.
    """

    name: Literal["sgd", "adam", "rmsprop"] = "sgd"
    learning_rate: PositiveFloat = 0.1
    base_batch_size: PositiveInt | None = None
    momentum: Fraction = 0.9
    nesterov: bool = False
    rho: Fraction = 0.9
    epsilon: PositiveFloat = 1e-7
    weight_decay: NonNegativeFloat = 0.0
    weight_decay_form: Literal["decoupled", "l2"] = "decoupled"
    weight_decay_exclude: list[Literal["bias", "gamma", "beta", "alpha"]] = field(
        default_factory=lambda: ["bias", "gamma", "beta", "alpha"]
    )
    clip_norm: PositiveFloat | None = None
    max_filter_rms: PositiveFloat | None = None
    max_norms: dict[str, PositiveFloat] = field(default_factory=dict)
    lr_factors: dict[str, NonNegativeFloat] = field(default_factory=dict)
    initial_momentum: Fraction | None = None
    momentum_epochs: PositiveFloat = 1.0

    def __post_init__(self):
        for name in ("max_norms", "lr_factors"):
            for pattern in getattr(self, name):
                check_pattern(f"optimizer.{name}", pattern)
        if self.initial_momentum is not None and self.name != "sgd":
            raise InputError(f"optimizer.initial_momentum is of 'sgd', not of '{self.name}'; set it to null.")

    def peak(self, batch_size: int) -> float:
        """The peak learning rate for a batch size.

        Example:
            >>> Optimizer(learning_rate=0.1, base_batch_size=256).peak(64)
            0.025
        """
        return self.learning_rate * (batch_size / self.base_batch_size if self.base_batch_size else 1.0)


@checked_dataclass("schedule")
class Schedule:
    """The learning rate over time.

    Attributes:
        name: "constant"; "cosine", to zero at the end; "steps", times `factor` at each milestone; "exponential", times
            `factor` after every `every`; "linear", down to `factor` of the peak at `every`; "plateau", times `factor`
            when the top-1 validation accuracy (of multi-label data mAP) has not increased for `patience` epochs, at
            most `max_reductions` times.
        factor: of "steps", "exponential", "linear" and "plateau".
        milestones: when "steps" reduces, in `unit`.
        every: the interval of "exponential", the length of "linear", in `unit`.
        unit: "epochs", or "steps" of the optimizer.
        patience, max_reductions: of "plateau".
        warmup_epochs, warmup_steps: length of the warm-up, in one of the two units.
        warmup_factor: None warms up linearly from zero; a number holds the learning rate at this fraction of the peak.
    """

    name: Literal["cosine", "constant", "steps", "exponential", "linear", "plateau"] = "cosine"
    factor: PositiveFloat = 0.1
    milestones: list[float] = field(default_factory=list)
    every: PositiveFloat = 1.0
    unit: Literal["epochs", "steps"] = "epochs"
    patience: PositiveInt = 5
    max_reductions: NonNegativeInt = 3
    warmup_epochs: NonNegativeFloat = 0.0
    warmup_steps: NonNegativeInt = 0
    warmup_factor: PositiveFloat | None = None

    def __post_init__(self):
        if self.warmup_epochs and self.warmup_steps:
            raise InputError("schedule takes warmup_epochs or warmup_steps, not both.")
        if self.name == "plateau" and (self.warmup_epochs or self.warmup_steps):
            raise InputError("schedule 'plateau' has no warm-up; set warmup_epochs and warmup_steps to 0.")
        if self.name == "steps" and not self.milestones:
            raise InputError("schedule 'steps' needs milestones, such as milestones: [30, 60].")
        if any(earlier >= later for earlier, later in zip([0.0, *self.milestones], self.milestones, strict=False)):
            raise InputError(f"schedule.milestones must be numbers above 0 in rising order, not {self.milestones}.")


@checked_dataclass("averaging")
class Averaging:
    """An exponential moving average of the weights, for validation and as the result of the training.

    Attributes:
        decay: the fraction of the average that each step keeps; 0 for no average. After n steps at most n / (n + 9)
            is kept, as in TensorFlow, so that short trainings forget the initial weights.
        statistics_batches: how many training batches batch normalization's statistics are recomputed on for the
            averaged weights (Izmailov et al., 2018, section 3.2).
    """

    decay: Fraction = 0.0
    statistics_batches: PositiveInt = 50


@checked_dataclass("initialization")
class Initialization:
    """Changes to the initial weights of the network's builder.

    Attributes:
        zeros: a regular expression; weights whose path it matches start at zero. `3_bn/gamma$` makes every bottleneck
            of a ResNet start as the identity (Goyal et al., 2017, section 5.1). Empty for none.
    """

    zeros: str = ""


@checked_dataclass("pixels")
class Pixels:
    """How pixels are scaled, and how evaluation crops images.

    Attributes:
        mean: what is subtracted: "pixel" or "channel" for one number each, measured on the training images; "middle"
            for 127.5; "none"; "weights" for the mean and std that the weights of `fine_tuning` were trained with; or
            a number, or three, for R, G and B. For gray images, three are replaced by their luma.
        std: the divisor, one number or three; for gray images, three are replaced by their mean.
        crop_fraction: evaluation resizes the shorter side to size / crop_fraction and crops the center. If the size is
            not square, the image is resized to cover a rectangle of its proportions, whose shorter side is that long.
        contrast: global contrast normalization, after that: every image's own mean is subtracted, and the image is
            scaled to this Euclidean norm; 0 for none. Maxout's authors use 55, about the root of 32 x 32 x 3.
        whitening: ZCA whitening, after that: correlations between all values of an image are removed by a matrix that
            is fitted to the training images, whose covariance's eigenvalues are increased by this number; 0 for none.
    """

    mean: Literal["pixel", "channel", "middle", "none", "weights"] | float | PerChannel = "channel"
    std: PositiveFloat | PositivePerChannel = 64.0
    crop_fraction: Annotated[float, Field(ge=0.01, le=1)] = 0.875
    contrast: NonNegativeFloat = 0.0
    whitening: NonNegativeFloat = 0.0

    def for_channels(self, channels: int) -> Pixels:
        """The same for images of 1 or 3 channels: one number in place of three where they are gray."""
        if channels != GRAY:
            return self
        mean, std = self.mean, self.std
        mean = sum(map(operator.mul, LUMA, mean)) / sum(LUMA) if isinstance(mean, list) else mean
        return replace(self, mean=mean, std=sum(std) / len(std) if isinstance(std, list) else std)


@checked_dataclass("fine_tuning")
class FineTuning:
    """Training from pretrained weights, with gradual unfreezing (Howard and Ruder, 2018, sections 3.2 and 3.3).

    The classifier is new and is trained first. Stages are then unfrozen from the top down; lower stages use smaller
    learning rates. Frozen layers are in inference mode, so batch normalization keeps its statistics.

    Attributes:
        weights: a run folder, a file, or a name that the network's builder takes, such as "imagenet"; empty to train
            from scratch.
        cut: where the network is cut and gets a new classifier behind global average pooling: "none"; a stage ("C4") or
            the name of a layer; "auto" for the place whose probe is the most accurate, which a training records.
        probe: whether the first epoch is a linear probe: the classifier is fitted to features that are computed once,
            and takes no steps (`kerascnn.training.fine_tuning.probe`).
        head_epochs: for how many epochs only the classifier is trained, the probe's among them.
        stage_epochs: the number of epochs from one stage's unfreezing to the next; 0 unfreezes all stages at once.
        layer_lr_decay: each stage's learning rate over that of the stage above.
        head_lr: the classifier's learning rate over the recipe's, from which those of the stages below are counted;
            with `hold_out` it follows from the features.
        frozen: a regular expression; layers whose name it matches are never trained. `^conv[12]` freezes the first two
            stages of a ResNet.
        freeze_batch_norm: whether batch normalization stays frozen in the unfrozen stages too.
        hold_out: after a probe, the share of the training images that is not trained on, to choose the statistics of
            batch normalization, the epoch, and whether the probe is better; of few images more, a quarter at most. 0,
            or without a probe, for gradual unfreezing.
        passes: with `hold_out`, the most work on a CPU, in forward passes of the training images through the network:
            how many layers are trained, and for how many epochs; 0 for no limit.
        base_steps: with `hold_out`, the number of steps that the learning rate is for; for fewer it is larger, for more
            smaller, by the square root of their ratio, and at most three times as large. 0 keeps it for every number.
        tuned_views: with `hold_out`, of how many augmented views per image, besides the plain one, maps are computed
            once where the lower layers are not trained.
    """

    weights: str = ""
    cut: str = WHOLE
    probe: bool = False
    head_epochs: NonNegativeInt = 0
    stage_epochs: NonNegativeInt = 0
    layer_lr_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    head_lr: Annotated[float, Field(gt=0, le=1)] = 1.0
    frozen: str = ""
    freeze_batch_norm: bool = False
    hold_out: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    passes: NonNegativeFloat = 10.0
    base_steps: NonNegativeInt = 0
    tuned_views: PositiveInt = 3

    def __post_init__(self):
        object.__setattr__(self, "weights", concealed(self.weights))
        check_pattern("fine_tuning.frozen", self.frozen)

    @property
    def tunes_after_probe(self) -> bool:
        """Whether a probe is gone on from by what held-out images show, instead of gradual unfreezing."""
        return self.probe and self.hold_out > 0

    @property
    def freezes(self) -> bool:
        """Whether any layer is frozen in any epoch, or probed, which needs pretrained weights."""
        return bool(
            self.probe
            or self.cut == BEST
            or self.head_epochs
            or self.stage_epochs
            or self.frozen
            or self.freeze_batch_norm
        )


@checked_dataclass("auxiliary_heads")
class AuxiliaryHeads:
    """The auxiliary classifiers.

    Attributes:
        use: whether a network that has auxiliary classifiers is trained with them.
        weight: of the loss of each of them; the main classifier's is 1.
        loss: "crossentropy", or of single-label data "squared_hinge", the squares of the margins below 1 between the
            score of the image's class and the others' (Lee et al., 2014, section 2).
        threshold: below which a batch's loss counts as none, and trains nothing; what is above counts.
        decay_epochs: over how many epochs the weight falls linearly to zero; 0 for a constant weight.
    """

    use: bool = True
    weight: float = 0.3
    loss: Literal["crossentropy", "squared_hinge"] = "crossentropy"
    threshold: NonNegativeFloat = 0.0
    decay_epochs: NonNegativeFloat = 0.0


@checked_dataclass("distillation")
class Distillation:
    """Training by a teacher, a trained network (Hinton et al., 2015), after hints of its maps (Romero et al., 2014).

    The loss is `label_weight` times that of the labels, plus a weight times the cross-entropy between the teacher's
    probabilities and the student's, both softened by the temperature: softmax(logits / temperature), of multi-label
    data a sigmoid per class. Its gradients are about 1 / temperature^2 as large as without one. Hinton et al. multiply
    by temperature^2 for that, which the weight can include; Romero et al. do not, and the defaults are theirs.

    Attributes:
        teacher: a run folder, or the .keras file of a model that this package trained; empty for none.
        digest: the SHA-256 of the teacher's file, which a training records. A file of another one is refused.
        temperature: of the softened probabilities.
        weight: of the teacher's part of the loss at the beginning.
        final_weight: which the weight reaches linearly over `decay_epochs`, and keeps.
        decay_epochs: 0 for all epochs.
        label_weight: of the labels' part, auxiliary classifiers included; the teacher teaches the main one only.
        hints: layers of the teacher by layers of the student. Before the first epoch the student's layers up to there
            learn to predict the teacher's outputs, through a regressor. Empty for none.
        hint_epochs: for how many epochs.
    """

    teacher: str = ""
    digest: str = ""
    temperature: PositiveFloat = 3.0
    weight: NonNegativeFloat = 4.0
    final_weight: NonNegativeFloat = 1.0
    decay_epochs: NonNegativeFloat = 0.0
    label_weight: NonNegativeFloat = 1.0
    hints: dict[str, str] = field(default_factory=dict)
    hint_epochs: PositiveInt = 5

    @property
    def begins_with_hints(self) -> bool:
        """Whether the student first learns to predict the teacher's maps."""
        return bool(self.teacher and self.hints)


@checked_dataclass("evaluation")
class Evaluation:
    """How the source measured its errors. `kerascnn train` always validates with one crop.

    Attributes:
        protocol: "1 crop", the center; "10 crops", corners and center and their mirror images; "144 crops",
            GoogLeNet's, section 7; "dense", the dense layers as convolutions over the whole image.
        shorter_sides: the lengths in pixels that the shorter side (as in `Pixels`) is resized to; scores are averaged
            over them.
        models: the number of networks in the ensemble.
    """

    protocol: Literal["1 crop", "10 crops", "144 crops", "dense"] = "1 crop"
    shorter_sides: list[int] = field(default_factory=list)
    models: int = 1
