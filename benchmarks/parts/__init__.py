"""The parts by name, in the order in which they are run."""

from benchmarks.parts import (
    building,
    crops,
    growth,
    inference,
    input_pipeline,
    start,
    tflite,
    time_to_accuracy,
    training_loop,
    training_step,
    watching,
)

PARTS = {
    "training-step": training_step.PART,
    "inference": inference.PART,
    "tflite": tflite.PART,
    "input-pipeline": input_pipeline.PART,
    "training-loop": training_loop.PART,
    "time-to-accuracy": time_to_accuracy.PART,
    "start": start.PART,
    "growth": growth.PART,
    "building": building.PART,
    "crops": crops.PART,
    "watching": watching.PART,
}
