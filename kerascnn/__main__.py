"""`python -m kerascnn`."""

from kerascnn.cli import main

main()
