"""CUDA's libraries under the names that TensorFlow loads.

    eval "$(python -m benchmarks.gpu.cuda_links links)"

TensorFlow's wheel is built for one major version of CUDA; a machine may have the next one, under other numbers. This
makes a folder with links of the wanted names and prints the line that makes a shell use it; what is missing, or is
linked although its number differs, is written to standard error. Whether a library serves under an older name is for
`tensorflow_check` to find out.
"""

from __future__ import annotations

import os
import re
import site
import sys
from collections.abc import Iterable
from pathlib import Path

# What TensorFlow 2.21 opens by name (CUDA 12, cuDNN 9).
WANTED = (
    "libcudart.so.12",
    "libcublas.so.12",
    "libcublasLt.so.12",
    "libcufft.so.11",
    "libcusolver.so.11",
    "libcusparse.so.12",
    "libcupti.so.12",
    "libnvrtc.so.12",
    "libnvJitLink.so.12",
    "libcudnn.so.9",
    "libnccl.so.2",
)


def link(wanted: Iterable[str], folders: Iterable[Path], target: Path) -> dict[str, Path | None]:
    """Links of these names to the libraries in the folders: of the same number, else of the highest; None if none."""
    libraries = [path for folder in folders if folder.is_dir() for path in folder.glob("lib*.so*")]
    target.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path | None] = {}
    for name in wanted:
        stem = name.partition(".so")[0]
        those = {path.name: path for path in libraries if path.name.partition(".so")[0] == stem}
        best = those.get(name) or max(those.values(), key=_number, default=None)
        found[name] = best
        if best:
            place = target / name
            place.unlink(missing_ok=True)
            place.symlink_to(best.resolve())
    return found


def _number(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name.partition(".so")[2])]


def folders() -> list[Path]:
    """Where CUDA's libraries lie: NVIDIA's Python packages, the toolkit, the linker's folders."""
    packages = [place for one in (*site.getsitepackages(), site.getusersitepackages()) for place in _of_packages(one)]
    system = [Path(place) for place in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if place]
    toolkit = [Path("/usr/local/cuda/lib64"), Path("/usr/local/cuda/extras/CUPTI/lib64")]
    return [*packages, *system, *toolkit, Path("/usr/lib/x86_64-linux-gnu")]


def _of_packages(place: str) -> list[Path]:
    return sorted(Path(place).glob("nvidia/*/lib"))


def main() -> None:
    """The command line."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "links").absolute()
    for name, path in link(WANTED, folders(), target).items():
        if path is None:
            print(f"{name}: not found", file=sys.stderr)
        elif not path.name.startswith(name):
            print(f"{name}: {path.name} under this name", file=sys.stderr)
    print(f'export LD_LIBRARY_PATH="{target}:{os.pathsep.join(map(str, folders()))}"')


if __name__ == "__main__":
    main()
