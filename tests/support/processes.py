"""Other processes, as Linux describes them."""

from pathlib import Path


def stat_of(process: int) -> list[str]:
    """A process's state, parent and more."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def parent_of(process: int) -> int:
    return int(stat_of(process)[1])


def state_of(process: int) -> str:
    """A process's state, such as "Z" if it has ended and its parent has not read its status yet."""
    try:
        return stat_of(process)[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
