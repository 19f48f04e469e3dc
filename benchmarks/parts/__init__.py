"""The parts by name, in the order in which they are run."""

from benchmarks.parts import inference, input_pipeline, start, tflite, training_step

PARTS = {
    "training-step": training_step.PART,
    "inference": inference.PART,
    "tflite": tflite.PART,
    "input-pipeline": input_pipeline.PART,
    "start": start.PART,
}
