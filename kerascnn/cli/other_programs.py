"""What the words of other programs are called here, where a word of similar spelling would mislead."""

from __future__ import annotations

from collections.abc import Collection, Sequence

# Subcommands, by what keras.applications', torchvision's, timm's and ultralytics' users try first.
SUBCOMMANDS = {
    **dict.fromkeys(("val", "valid", "validate", "test", "eval", "score"), "evaluate"),
    **dict.fromkeys(("fit", "finetune", "fine-tune", "resume"), "train"),
    **dict.fromkeys(("list", "list-models", "zoo"), "models"),
    **dict.fromkeys(("summary", "info", "profile"), "describe"),
    **dict.fromkeys(("search", "optimize"), "tune"),
    **dict.fromkeys(("gradcam", "visualize"), "explain"),
    **dict.fromkeys(("features", "extract"), "embed"),
    **dict.fromkeys(("classify", "infer", "inference"), "predict"),
    **dict.fromkeys(("check", "prepare"), "ingest"),
    **dict.fromkeys(("help", "version"), "--help or --version"),
}

# Options, with the word that follows for {}. What does not begin with dashes is a sentence of its own.
OPTIONS = {
    **dict.fromkeys(("lr", "lr0", "learning-rate"), "--set optimizer.learning_rate={}"),
    **dict.fromkeys(("opt", "optimizer"), "--set optimizer.name={}"),
    **dict.fromkeys(("wd", "weight-decay"), "--set optimizer.weight_decay={}"),
    "momentum": "--set optimizer.momentum={}",
    **dict.fromkeys(("sched", "scheduler", "lr-scheduler"), "--set schedule.name={}"),
    **dict.fromkeys(("warmup-epochs", "lr-warmup-epochs"), "--set schedule.warmup_epochs={}"),
    **dict.fromkeys(("smoothing", "label-smoothing"), "--set label_smoothing={}"),
    **{name: f"--set augmentation.{name}={{}}" for name in ("mixup", "cutmix")},
    "patience": "--early-stopping {}",
    **dict.fromkeys(("imgsz", "img-size", "input-size", "size", "resolution"), "--image-size {}"),
    **dict.fromkeys(("dataset", "data-path", "data-dir", "root"), "--data {}"),
    **dict.fromkeys(("arch", "network", "backbone"), "--model {}"),
    "pretrained": "--weights imagenet",
    "initial-checkpoint": "--weights {}",
    **dict.fromkeys(("gpu", "gpus"), "--devices gpu:{}"),
    "amp": "--precision mixed_float16",
    **dict.fromkeys(("output", "output-dir", "project", "save-dir"), "--out {}"),
    "freeze": "--recipe probe",
    "int8": "--quantize int8",
    "half": "--quantize float16",
    "topk": "--top {}",
    "conf": "--threshold {}",
    **dict.fromkeys(("num-classes", "nb-classes"), "the classes are those of the data"),
    **dict.fromkeys(("num-workers", "threads"), "images are read on all cores"),
    **dict.fromkeys(("model", "weights", "checkpoint"), "the model is named without an option, before anything else"),
    "source": "images are named without an option, after the model",
}


def called_here(name: str, rest: Sequence[str], known: Collection[str]) -> str | None:
    """What an option of another program, such as "--lr", is here; None if that is not known.

    Args:
        name: the option, with its value if that follows "=".
        rest: the words that follow.
        known: the subcommand's own options.

    Example:
        >>> called_here("--lr", ["0.1"], ["--set"])
        'that is --set optimizer.learning_rate=0.1 here.'
    """
    word, _, value = name.partition("=")
    meaning = OPTIONS.get(word.lstrip("-").replace("_", "-"), "")
    if meaning.startswith("--"):
        given = value or next((one for one in rest[:1] if not one.startswith("-")), "VALUE")
        return f"that is {meaning.format(given)} here." if meaning.split()[0] in known else None
    return f"{meaning}." if meaning else None
