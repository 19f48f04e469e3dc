"""Links that lead to the newest and to the best export of a network on a data set."""

from __future__ import annotations

import json
import os
from pathlib import Path

BEST = "-best"


def link_exports(folder: Path, name: str) -> list[Path]:
    """Makes the links `name`, to an export just published, and `name-best`, to the most accurate one of that name.

    Of equal accuracies the newest counts as the best. A folder or file of such a name stays, and so does everything
    where the file system has no links.

    Args:
        folder: of the export, next to those of other runs, whose names begin with `name`.
        name: of the network and the data.

    Returns:
        The links that lead to `folder`.
    """
    accuracies = {file.parent: _accuracy(file) for file in folder.parent.glob(f"{name}-*/verification.json")}
    others = {path: accuracy for path, accuracy in accuracies.items() if not path.is_symlink() and path != folder}
    links = {folder.with_name(name): folder}
    if all(accuracy <= accuracies[folder] for accuracy in others.values()):
        links[folder.with_name(name + BEST)] = folder
    else:
        links[folder.with_name(name + BEST)] = max(others, key=lambda path: (others[path], path.name))
    made = [link for link, target in links.items() if _link(link, target)]
    return [link for link in made if links[link] == folder]


def _accuracy(file: Path) -> float:
    """The accuracy, or mAP, of the trained model; -1 for a file that cannot be read."""
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["results"][0]["accuracy"])
    except (OSError, ValueError, LookupError, TypeError):
        return -1.0


def _link(link: Path, target: Path) -> bool:
    if link.exists() and not link.is_symlink():
        return False
    new = link.with_name(f".{link.name}-{os.getpid()}")
    try:
        new.symlink_to(target.name, target_is_directory=True)
        os.replace(new, link)
    except OSError:
        return False
    return True
