"""The experiments of the papers, as data. Published errors are in percent of images."""

from __future__ import annotations

from kerascnn.errors import InputError, closest
from kerascnn.experiments.experiment import Arm, Claim, Experiment, Scale

RESNET = "He et al., Deep Residual Learning for Image Recognition, 2015"
RETHINKING = "Szegedy et al., Rethinking the Inception Architecture, 2015"
BATCH_NORM = "Ioffe and Szegedy, Batch Normalization, 2015"
GOING_DEEPER = "Szegedy et al., Going Deeper with Convolutions, 2014"

CIFAR = "keras:cifar10"

# CIFAR's images at half their height and width: deep networks train in minutes on a CPU.
SMALL_CIFAR = ("image_size=16", "epochs=6", "batch_size=32", "augmentation.pad=2")
SMALL_RESNET20 = Scale("resnet_small", "resnet20", SMALL_CIFAR, data=CIFAR, limit=1200)

# The smallest images that GoogLeNet without auxiliary classifiers takes.
SMALL_GOOGLENET = ("image_size=32", "batch_size=32", "augmentation.scale=[0.5, 1.0]", "pixels.crop_fraction=1.0")

NO_HEADS = "auxiliary_heads.use=false"
SMOOTHED = "label_smoothing=0.1"
FACTORIZED = "model_arguments={factorized_7x7: true}"
FACTORIZED_BN = "model_arguments={factorized_7x7: true, aux_batch_norm: true}"
WITHOUT_BN = ("model_arguments={batch_norm: false}",)
WITH_BN = ("model_arguments={batch_norm: true}",)
SMALL_BN_GOOGLENET = (*SMALL_GOOGLENET, *WITH_BN, NO_HEADS, "epochs=5")
# The learning rate is the paper's, for its first row.
FIRST_RATE = ("schedule.warmup_epochs=0", "schedule.name=constant", "optimizer.learning_rate=0.0015")

# The learning rate is a tenth of the paper's, with which validation losses jump to 89.
SMALL_INCEPTION = ("image_size=107", "batch_size=16", "epochs=8", "optimizer.base_batch_size=16")
SMALL_INCEPTION += ("averaging.decay=0.0", "augmentation.scale=[0.5, 1.0]", "optimizer.learning_rate=0.0045")

RESNET20 = Arm("ResNet-20", "resnet20", published="8.75")
RESNET56 = Arm("ResNet-56", "resnet56", published="6.97")

TOO_SHORT = "its few hundred steps are less than a hundredth of the paper's 64,000, in which the order is settled"

EXPERIMENTS: dict[str, Experiment] = {
    "degradation": Experiment(
        about="do deeper plain networks train worse, and residual ones not?",
        paper=f"{RESNET}, section 4.2, figure 6 and table 6",
        published_on="CIFAR-10, 64,000 steps",
        arms=(Arm("plain-20", "plain20"), Arm("plain-56", "plain56"), RESNET20, RESNET56),
        small=Scale("resnet_small", settings=(*SMALL_CIFAR, "epochs=8"), data=CIFAR, limit=2400),
        full=Scale(data=CIFAR),
        claims=(
            Claim("plain-56 has a higher training error than plain-20", "plain-20", "plain-56", "training error"),
            Claim("plain-56 has a higher test error than plain-20", "plain-20", "plain-56"),
            Claim("ResNet-56 has a lower test error than ResNet-20", "ResNet-56", "ResNet-20"),
        ),
        small_cannot=f"that ResNet-56 ends better than ResNet-20: {TOO_SHORT}",
        notes=("The paper draws the plain networks' errors and does not print them.",),
    ),
    "auxiliary-heads": Experiment(
        about="do GoogLeNet's auxiliary classifiers help?",
        paper=f"{GOING_DEEPER}, section 5; {RETHINKING}, section 4",
        published_on="ImageNet",
        arms=(Arm("with heads", settings=("auxiliary_heads.use=true",)), Arm("without heads", settings=(NO_HEADS,))),
        small=Scale("googlenet_small", "googlenet", (*SMALL_GOOGLENET, "image_size=72", "epochs=10"), CIFAR, 1200),
        full=Scale(model="googlenet"),
        claims=(Claim("auxiliary classifiers lower the error", "with heads", "without heads"),),
        small_cannot="an effect of half a percent on a few hundred images, nor one that the later paper sees only "
        "at the end of a long training",
        notes=(
            "The first paper estimates the effect at about 0.5 % and finds one of the two heads sufficient; the second "
            "finds none before the end of the training.",
        ),
    ),
    "shortcuts": Experiment(
        about="do projections in the shortcuts help: A none, B where dimensions change, C everywhere?",
        paper=f"{RESNET}, section 4.1, table 3",
        published_on="ImageNet, ResNet-34, 10 crops, top-1 / top-5",
        arms=(
            Arm("A", settings=("model_arguments={shortcut: A}",), published="25.03 / 7.76"),
            Arm("B", settings=("model_arguments={shortcut: B}",), published="24.52 / 7.46"),
            Arm("C", settings=("model_arguments={shortcut: C}",), published="24.19 / 7.40"),
        ),
        small=SMALL_RESNET20,
        full=Scale(model="resnet34"),
        claims=(Claim("B has a lower error than A", "B", "A"), Claim("C has a lower error than B", "C", "B")),
        small_cannot="differences of half a percent on a few hundred images, with ResNet-20 instead of ResNet-34",
    ),
    "depth": Experiment(
        about="how does a residual network's error fall with its depth?",
        paper=f"{RESNET}, section 4.2, table 6",
        published_on="CIFAR-10, 64,000 steps",
        arms=(
            RESNET20,
            Arm("ResNet-32", "resnet32", published="7.51"),
            Arm("ResNet-44", "resnet44", published="7.17"),
            RESNET56,
            Arm("ResNet-110", "resnet110", published="6.43 (6.61 ± 0.16 of 5)"),
        ),
        small=Scale("resnet_small", settings=SMALL_CIFAR, data=CIFAR, limit=1200),
        full=Scale(data=CIFAR),
        claims=(Claim("ResNet-110 has a lower error than ResNet-20", "ResNet-110", "ResNet-20"),),
        small_cannot=f"that depth helps: {TOO_SHORT}, and deeper networks begin more slowly",
    ),
    "inception": Experiment(
        about="how much does each step from Inception v2 to v3 improve?",
        paper=f"{RETHINKING}, table 3",
        published_on="ImageNet, 1 crop, top-1 / top-5",
        arms=(
            Arm("Inception-v2", settings=("optimizer.name=sgd", "optimizer.momentum=0.9"), published="23.4"),
            Arm("+ RMSProp", published="23.1 / 6.3"),
            Arm("+ label smoothing", settings=(SMOOTHED,), published="22.8 / 6.1"),
            Arm("+ factorized 7x7", settings=(SMOOTHED, FACTORIZED), published="21.6 / 5.8"),
            Arm("+ BN-auxiliary", settings=(SMOOTHED, FACTORIZED_BN), published="21.2 / 5.6"),
        ),
        small=Scale("inceptionv2", "inceptionv2", SMALL_INCEPTION, CIFAR, 600),
        full=Scale(model="inceptionv2"),
        claims=(
            Claim("RMSProp lowers the error", "+ RMSProp", "Inception-v2"),
            Claim("label smoothing lowers the error", "+ label smoothing", "+ RMSProp"),
            Claim("the factorized 7x7 lowers the error", "+ factorized 7x7", "+ label smoothing"),
            Claim("batch normalization of the head lowers the error", "+ BN-auxiliary", "+ factorized 7x7"),
        ),
        small_cannot="any of it: after a few hundred steps no arm is better than chance, an error of 90 %",
        notes=(
            "Every row adds to the row before. The paper trains its first row with momentum SGD, and does not print "
            "its learning rate.",
        ),
    ),
    "label-smoothing": Experiment(
        about="does label smoothing help?",
        paper=f"{RETHINKING}, section 7 and table 3",
        published_on="ImageNet, Inception-v2, 1 crop, top-1 / top-5",
        arms=(
            Arm("none", settings=("label_smoothing=0.0",), published="23.1 / 6.3"),
            Arm("0.1", settings=(SMOOTHED,), published="22.8 / 6.1"),
        ),
        small=SMALL_RESNET20,
        full=Scale(model="inceptionv2"),
        claims=(Claim("smoothed labels lower the error", "0.1", "none"),),
        notes=("Training losses cannot be compared, because they include the smoothing.",),
        small_cannot="a difference of 0.3 % on a few hundred images",
    ),
    "batch-norm": Experiment(
        about="does batch normalization allow higher learning rates?",
        paper=f"{BATCH_NORM}, section 4.2.2, figure 3",
        published_on="ImageNet, greatest top-1 accuracy, and steps to the first row's",
        arms=(
            Arm("none, rate x 1", settings=WITHOUT_BN, published="72.2 in 31.0M"),
            Arm("none, rate x 5", settings=WITHOUT_BN, learning_rate_times=5, published="diverged"),
            Arm("BN, rate x 1", settings=WITH_BN, published="72.7 in 13.3M"),
            Arm("BN, rate x 5", settings=WITH_BN, learning_rate_times=5, published="73.0 in 2.1M"),
            Arm("BN, rate x 30", settings=WITH_BN, learning_rate_times=30, published="74.8 in 2.7M"),
        ),
        small=Scale("googlenet_small", "googlenet", (*SMALL_GOOGLENET, NO_HEADS, "epochs=5", *FIRST_RATE), CIFAR, 1200),
        full=Scale(model="googlenet", settings=(NO_HEADS,)),
        claims=(
            Claim(
                "at the same learning rate, the normalized network has a lower training error",
                *("BN, rate x 1", "none, rate x 1", "training error"),
            ),
            Claim(
                "with normalization, the error is even lower at five times the learning rate",
                *("BN, rate x 5", "BN, rate x 1", "training error"),
            ),
            Claim(
                "at five times the learning rate, the normalized network has a lower training error",
                *("BN, rate x 5", "none, rate x 5", "training error"),
            ),
        ),
        small_cannot="the accuracies after millions of steps, nor the divergence: for so few steps the network without "
        "normalization also tolerates five times the learning rate",
        notes=(
            "The paper's network is a variant of Inception with batch normalization, and it changes more than the "
            "learning rate (no dropout, less weight decay); here GoogLeNet has batch normalization or not, and nothing "
            "else differs.",
        ),
    ),
    "folding": Experiment(
        about="is a network the same after its batch normalization is folded into the layers before it?",
        paper=f"{BATCH_NORM}, section 3.1 and algorithm 2",
        published_on="an identity: exact except for rounding",
        arms=(
            Arm("ResNet-20", "resnet20", ("image_size=16",)),
            Arm("BN-GoogLeNet", "googlenet", ("image_size=32", *WITH_BN)),
        ),
        small=Scale("resnet_small", "", ("epochs=3", "batch_size=32", "precision=float32", NO_HEADS), CIFAR, 1200),
        full=Scale("cifar_resnet", settings=("precision=float32", "image_size=32", NO_HEADS), data=CIFAR),
        notes=("The identity holds for any weights, so the small scale shows it as well as the full one.",),
        measure="folding",
    ),
    "crops": Experiment(
        about="how much do more crops and more models improve?",
        paper=f"{GOING_DEEPER}, section 7, table 3",
        published_on="ImageNet, top-5",
        arms=(Arm("GoogLeNet"),),
        small=Scale("googlenet_small", "googlenet", SMALL_BN_GOOGLENET, CIFAR, 1200, seeds=(0, 1, 2)),
        full=Scale(model="googlenet", seeds=(0, 1, 2, 3, 4, 5, 6)),
        small_cannot="the published gains: its networks are hardly trained, and crops of images of 32 pixels "
        "hardly differ",
        measure="crops",
        notes=("The paper's models differ in the sampling and the order of images; here they differ in their seeds.",),
    ),
}


def find(name: str) -> Experiment:
    """The experiment called `name`; raises InputError if there is none.

    Example:
        >>> find("depth").arms[0].name
        'ResNet-20'
    """
    if name not in EXPERIMENTS:
        raise InputError(f"there is no experiment '{name}'; {closest(name, EXPERIMENTS)}")
    return EXPERIMENTS[name]
