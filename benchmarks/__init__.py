"""Measurements beside other libraries: `python -m benchmarks` runs all, `python -m benchmarks --list` lists them.

    python -m benchmarks training-step --networks resnet50 --policies mixed_bfloat16 --rounds 3
    python -m benchmarks --report

A part (parts/*.py) yields rows. A row is one question, such as a training step of ResNet-50 in bfloat16, with the
contestants that answer it; the first one is ours. Every contestant is a process of its own (contestant_process.py): it
prepares itself, then measures one value per round. Contestants take turns (turns.py), so that whatever else the machine
does falls on all. Their medians and spread are appended to results.csv (results.py), with CPU, versions and
commit (machine.py). The tables and plots of RESULTS.md between its two markers are made of that file alone
(report.py).

    __main__.py             the command line
    part.py                 what a part, a row, a contestant and the options are
    contestant_process.py   the process of a contestant, from both sides
    turns.py                who measures when; medians
    machine.py              what the measurements ran on
    results.py              the results file
    report.py               tables and plots of RESULTS.md
    timing.py               one round of a contestant
    model_zoo.py            the tables of docs/model_zoo.md and of the README
    tflite_files.py         sizes and times of all networks' .tflite files, for the model zoo
    torch_networks.py       the networks of PyTorch, with those that torchvision lacks
    parts/                  one file per part

To add a measurement, write a function that prepares and returns a function without arguments, which measures once and
returns a number in the row's unit. Everything heavy is imported inside it.
"""
