"""`python -m kerascnn`."""

from kerascnn.cli import program

program()
