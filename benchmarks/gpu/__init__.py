"""Measurements on a GPU, for a machine that is lent for minutes, with neither a network nor TensorFlow.

Prepared on a machine with a network, from the repository root (for the Python version there, 3.12):

    pip wheel --no-deps -w wheels .
    pip download --only-binary :all: --python-version 3.12 -d wheels wheels/kerascnn-*.whl
    python -m benchmarks.gpu.parts split wheels/tensorflow-*.whl parts && rm wheels/tensorflow-*.whl

and on the machine with the GPU, which has PyTorch, torchvision, JAX and CUDA:

    python -m benchmarks.gpu.parts join parts wheels && pip install --no-index --find-links wheels kerascnn
    # 1. Networks on JAX beside PyTorch, in at most 4 minutes
    python -m benchmarks.gpu
    # 2. CUDA's libraries under the names that TensorFlow looks for, and whether it computes correctly
    eval "$(python -m benchmarks.gpu.cuda_links links)"
    python -m benchmarks.gpu.tensorflow_check
    # 3. `kerascnn train`: loss scaling, XLA, a kill and a resume, the exports; then ResNet-50 from JPEG files
    python -m benchmarks.gpu.train_and_resume --out gpu-runs
    python -m benchmarks training-loop --photographs photos.zip

Every command runs on a CPU too, at tiny sizes: `python -m benchmarks.gpu --networks resnet20 --batch 4 --steps 2
--side 128`, `python -m benchmarks.gpu.train_and_resume --limit 60 --epochs 2 --devices cpu`.

    __main__.py           `python -m benchmarks.gpu`: which contestants, when
    training_step.py      a training step on JAX and in PyTorch, and the matrix products of both
    parts.py              a large file in parts of a size that can be carried, and back, checked by SHA-256
    cuda_links.py         CUDA's libraries under the version that TensorFlow asks for
    tensorflow_check.py   devices, one matrix product, one convolution
    train_and_resume.py   `kerascnn train` with a kill, a resume and the exports
"""
