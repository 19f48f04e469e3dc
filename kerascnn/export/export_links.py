"""Links that lead to the newest and to the best export of a network on a data set."""

from __future__ import annotations

import glob
import json
import os
from pathlib import Path

from kerascnn.evaluation.trained_on import TRAINED_ON
from kerascnn.files.user_file import read_text

BEST = "-best"


def link_exports(folder: Path, name: str) -> list[Path]:
    """Makes the links `name`, to an export just published, and `name-best`, to the most accurate one of that name.

    `name` is of the network and the data; the folders of their exports begin with it. Exports of models that were
    trained on other data are not compared: "net-pets-small" is no "net-pets". Of equal accuracies the newest counts as
    the best. A folder or file of such a name stays, and so does everything where the file system has no links. Returns
    the links that lead to `folder`.
    """
    files = folder.parent.glob(f"{glob.escape(name)}-*/verification.json")
    verified = {file.parent: _verified(file) for file in files if not file.parent.is_symlink()}
    data, _ = verified[folder]
    accuracies = {path: accuracy for path, (source, accuracy) in verified.items() if source == data}
    best = max(accuracies, key=lambda path: (accuracies[path], path == folder, path.name))
    links = {folder.with_name(name): folder, folder.with_name(name + BEST): best}
    made = [link for link, target in links.items() if _link(link, target)]
    return [link for link in made if links[link] == folder]


def _verified(file: Path) -> tuple[str | None, float]:
    """The digest of the training data, and the trained model's accuracy or mAP; -1 for a file that cannot be read."""
    try:
        values = json.loads(read_text(file))
        return values.get(TRAINED_ON), float(values["results"][0]["accuracy"])
    # The file of another version, or of another program.
    except Exception:
        return None, -1.0


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
