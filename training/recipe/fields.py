"""What a recipe is made of: its groups of hyper-parameters, as typed data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from kerascnn.errors import InputError
from kerascnn.training.recipe.ranges import above_zero, at_least_zero, below_one


@dataclass(frozen=True)
class About:
    """Where a recipe comes from.

    Attributes:
        paper: authors, title, year, section; empty where a recipe is nobody's but ours.
        kind: "paper" is as published, "modern" is later practice, "small" is for few images, "transfer" begins with
            weights from elsewhere.
        networks: what the recipe is for; every network where none is named.
        differences: what it says otherwise than its source, or has to say because the source does not.
    """

    paper: str = ""
    kind: Literal["paper", "modern", "small", "transfer"] = "small"
    networks: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Optimizer:
    """How gradients become steps.

    Attributes:
        name: "sgd" (with momentum), "adam" or "rmsprop".
        learning_rate: what the schedule multiplies: its peak.
        base_batch_size: the batch that `learning_rate` is meant for; other batches get it in proportion (linear
            scaling, Goyal et al., 2017). None keeps the rate whatever the batch.
        momentum: of SGD and RMSProp. The rate is inside the momentum, v = momentum x v - rate x gradient, as AlexNet's
            section 5 and Caffe have it.
        nesterov: whether SGD looks ahead.
        rho: decay of RMSProp's mean square.
        epsilon: of RMSProp, inside its root as TensorFlow has it, and of Adam.
        weight_decay: how strongly weights are pulled to zero.
        weight_decay_form: "l2" adds weight_decay x weight to the gradient, after clipping, so that it passes through
            momentum: the papers' form. "decoupled" subtracts rate x weight_decay x weight beside the step. Neither
            shows in the loss.
        weight_decay_exclude: the kinds of weights that are not pulled: "bias", "gamma" and "beta" of normalizations.
        clip_norm: the greatest norm of all gradients together, or None.
        max_filter_rms: the greatest root mean square of a convolution's filter, to which it is scaled down after each
            step (ZFNet, section 3), or None.

    Raises:
        InputError: a value outside its range.
    """

    name: Literal["sgd", "adam", "rmsprop"] = "sgd"
    learning_rate: float = 0.1
    base_batch_size: int | None = None
    momentum: float = 0.9
    nesterov: bool = False
    rho: float = 0.9
    epsilon: float = 1e-7
    weight_decay: float = 0.0
    weight_decay_form: Literal["decoupled", "l2"] = "decoupled"
    weight_decay_exclude: list[Literal["bias", "gamma", "beta"]] = field(
        default_factory=lambda: ["bias", "gamma", "beta"]
    )
    clip_norm: float | None = None
    max_filter_rms: float | None = None

    def __post_init__(self):
        above_zero("optimizer", self, "learning_rate", "base_batch_size", "epsilon", "clip_norm", "max_filter_rms")
        at_least_zero("optimizer", self, "weight_decay")
        below_one("optimizer", self, "momentum", "rho")

    def peak(self, batch_size: int) -> float:
        """The learning rate for batches of this many images.

        Example:
            >>> Optimizer(learning_rate=0.1, base_batch_size=256).peak(64)
            0.025
        """
        return self.learning_rate * (batch_size / self.base_batch_size if self.base_batch_size else 1.0)


@dataclass(frozen=True)
class Schedule:
    """How the learning rate goes.

    Attributes:
        name: "constant"; "cosine", to zero at the end; "steps", multiplied by `factor` at each place of `milestones`;
            "exponential", multiplied by `factor` after every `every`; "plateau", multiplied by `factor` when the
            validation's top-1 error has not fallen for `patience` epochs, at most `max_reductions` times.
        factor: of "steps", "exponential" and "plateau".
        milestones: the places of "steps", in `unit`.
        every: the distance of "exponential", in `unit`.
        unit: "epochs", or "steps" of the optimizer.
        patience, max_reductions: of "plateau".
        warmup_epochs, warmup_steps: how long, in one of the two, the training first warms up.
        warmup_factor: None raises the rate linearly from zero; a number keeps it at this share of the peak instead.

    Raises:
        InputError: a value outside its range, or values that do not go together.
    """

    name: Literal["cosine", "constant", "steps", "exponential", "plateau"] = "cosine"
    factor: float = 0.1
    milestones: list[float] = field(default_factory=list)
    every: float = 1.0
    unit: Literal["epochs", "steps"] = "epochs"
    patience: int = 5
    max_reductions: int = 3
    warmup_epochs: float = 0.0
    warmup_steps: int = 0
    warmup_factor: float | None = None

    def __post_init__(self):
        above_zero("schedule", self, "factor", "every", "patience", "warmup_factor")
        at_least_zero("schedule", self, "max_reductions", "warmup_epochs", "warmup_steps")
        if self.warmup_epochs and self.warmup_steps:
            raise InputError("schedule warms up for warmup_epochs or for warmup_steps, not for both.")
        if self.name == "plateau" and (self.warmup_epochs or self.warmup_steps):
            raise InputError("schedule 'plateau' has no warm-up; set warmup_epochs and warmup_steps to 0.")
        if self.name == "steps" and not self.milestones:
            raise InputError(
                "schedule 'steps' needs the places at which the rate changes, such as milestones: [30, 60]."
            )
        if any(earlier >= later for earlier, later in zip([0.0, *self.milestones], self.milestones, strict=False)):
            raise InputError(f"schedule.milestones must be numbers above 0 in rising order, not {self.milestones}.")


@dataclass(frozen=True)
class Averaging:
    """Averages of the weights, for validation and as the result of the training.

    Attributes:
        decay: the share of the average that each step keeps; 0 for no average. Early steps keep less, n/(n+9) after n
            steps, so that short trainings do not end near their beginning (TensorFlow's rule for moving averages).
        statistics_batches: batch normalization's statistics belong to the weights that made them; for the averaged
            weights they are measured anew on so many training batches (as Izmailov et al., 2018, section 3.2).

    Raises:
        InputError: a value outside its range.
    """

    decay: float = 0.0
    statistics_batches: int = 50

    def __post_init__(self):
        below_one("averaging", self, "decay")
        above_zero("averaging", self, "statistics_batches")


@dataclass(frozen=True)
class Initialization:
    """What a recipe changes of the weights that the network's builder drew.

    Attributes:
        zeros: a regular expression; weights whose path it matches begin at zero. `3_bn/gamma$` makes every bottleneck
            of a ResNet begin as the identity (Goyal et al., 2017, section 5.1). Empty for none.
    """

    zeros: str = ""


@dataclass(frozen=True)
class Pixels:
    """How pixels are scaled and evaluation cuts its one crop.

    Attributes:
        mean: what is subtracted from the pixels: one number a "pixel" or a "channel", measured on the training
            images, the "middle" of their range, 127.5, or "none"; or the three numbers themselves, for R, G, B.
            "weights" takes mean and std that the weights of `fine_tuning` were trained with.
        std: what they are divided by then, one number or three.
        crop_fraction: evaluation resizes the shorter side to size / crop_fraction and cuts the centre.

    Raises:
        InputError: another count of numbers than three, or a std that is not above 0.
    """

    mean: Literal["pixel", "channel", "middle", "none", "weights"] | list[float] = "channel"
    std: float | list[float] = 64.0
    crop_fraction: float = 0.875

    def __post_init__(self):
        for name in ("mean", "std"):
            value = getattr(self, name)
            if isinstance(value, list) and len(value) != 3:
                raise InputError(f"pixels.{name} must be one value or three, for R, G and B, not {value}.")
        if not all(value > 0 for value in (self.std if isinstance(self.std, list) else [self.std])):
            raise InputError(f"pixels.std must be above 0, not {self.std}.")


@dataclass(frozen=True)
class FineTuning:
    """A training that begins with the weights of another (Howard and Ruder, 2018, sections 3.2 and 3.3).

    The classifier is new. The backbone, which is everything before it, can wait until the classifier has learnt
    something, and is unfrozen stage by stage from the top, where what was learnt is the least general. What is frozen
    is in inference mode, so that batch normalization keeps its statistics.

    Attributes:
        weights: what the network begins with: a run folder, a file, or a name that its builder takes, such as
            "imagenet". Empty for weights that are drawn.
        head_epochs: how long only the classifier is trained.
        stage_epochs: how long a stage is trained before the one below it is; 0 unfreezes all at once.
        layer_lr_decay: the share of the learning rate of one stage that the stage below it has; the classifier has the
            whole.
        frozen: a regular expression; layers whose name it matches are never trained. `^conv[12]` keeps the first two
            stages of a ResNet as they are.
        freeze_batch_norm: whether batch normalization stays as it is, in the stages that are trained too.

    Raises:
        InputError: a value outside its range, or a regular expression that is none.
    """

    weights: str = ""
    head_epochs: int = 0
    stage_epochs: int = 0
    layer_lr_decay: float = 1.0
    frozen: str = ""
    freeze_batch_norm: bool = False

    def __post_init__(self):
        at_least_zero("fine_tuning", self, "head_epochs", "stage_epochs")
        if not 0 < self.layer_lr_decay <= 1:
            raise InputError(f"fine_tuning.layer_lr_decay must be above 0 and at most 1, not {self.layer_lr_decay}.")
        try:
            re.compile(self.frozen)
        except re.error as error:
            raise InputError(f"fine_tuning.frozen '{self.frozen}' is no regular expression: {error}.") from None

    @property
    def freezes(self) -> bool:
        """Whether anything is left out of any epoch."""
        return bool(self.head_epochs or self.stage_epochs or self.frozen or self.freeze_batch_norm)


@dataclass(frozen=True)
class AuxiliaryHeads:
    """The classifiers beside the main one.

    Attributes:
        use: whether a network that has auxiliary classifiers trains with them.
        weight: of each one's loss, beside 1 for the main classifier's.
    """

    use: bool = True
    weight: float = 0.3


@dataclass(frozen=True)
class Evaluation:
    """How the source measured its errors. `kerascnn train` validates with one crop whatever stands here.

    Attributes:
        protocol: "1 crop", the centre; "10 crops", corners and centre and their mirrors; "144 crops", GoogLeNet's,
            section 7; "dense", the dense layers as convolutions over the whole image.
        shorter_sides: the lengths in pixels that the shorter side is resized to; scores are averaged over them.
        models: the networks of an ensemble.
    """

    protocol: Literal["1 crop", "10 crops", "144 crops", "dense"] = "1 crop"
    shorter_sides: list[int] = field(default_factory=list)
    models: int = 1
