"""The import graph: one direction, no circles."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
# From the ground up; a package imports from its own floor and from those below.
FLOORS = (
    (
        "shown_text",
        "errors",
        "average_precision",
        "console",
        "cores",
        "native_output",
        "jpeg_damage_filter",
        "lazy_tensorflow",
        "keras_internals",
        "terminal_encoding",
        "image_shape",
        "metric_names",
        "parent_process",
        "stop_request",
    ),
    ("files",),
    ("layers", "data"),
    ("applications",),
    ("complexity", "training"),
    ("evaluation",),
    ("export",),
    ("experiments",),
    ("cli",),
)
FLOOR_OF = {package: floor for floor, packages in enumerate(FLOORS) for package in packages}


def modules() -> dict[str, Path]:
    """Every module but the packages' own, which hand names on; `__main__` starts the command line."""
    found = {}
    for folder, package in (("kerascnn", "kerascnn"), ("training", "kerascnn.training")):
        for path in (ROOT / folder).rglob("*.py"):
            if path.stem not in ("__init__", "__main__"):
                found[".".join([package, *path.relative_to(ROOT / folder).with_suffix("").parts])] = path
    return found


def imported(path: Path) -> set[str]:
    """All that could be a module, imports inside functions and for type checkers included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_no_circles():
    known = modules()
    # Raises CycleError, which names the modules.
    order = [
        *TopologicalSorter(
            {name: imported(path) & known.keys() - {name} for name, path in known.items()}
        ).static_order()
    ]
    assert len(order) == len(known) > 150


def test_one_direction():
    upward = []
    for name, path in modules().items():
        floor = FLOOR_OF[name.split(".")[1]]
        targets = {target for target in imported(path) if target.startswith("kerascnn.")}
        upward += [(name, target) for target in targets if FLOOR_OF.get(target.split(".")[1], -1) > floor]
    assert upward == []
