"""What measurements ran on: CPU, its instructions for 16 bits, cores, versions of the libraries, commit."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

from kerascnn.cores import cores

LIBRARIES = ("keras", "tensorflow", "jax", "torch", "torchvision", "onnxruntime", "ai-edge-litert")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


class Machine(NamedTuple):
    """A CPU and the software on it."""

    processor: str  # With the GPUs beside it
    instructions: str  # Of INSTRUCTIONS, those that it has
    cores: int
    versions: str
    commit: str  # With a plus sign if files differ from it


def this_machine() -> Machine:
    """The machine that this process runs on."""
    described = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in described.partition("\n\n")[0].splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    return Machine(
        " + ".join([fields.get("model name") or platform.processor() or platform.machine(), *_gpus()]),
        " ".join(name for name in INSTRUCTIONS if name in flags),
        cores(),
        ", ".join([f"Python {platform.python_version()}", *_versions()]),
        _commit(),
    )


def _gpus() -> list[str]:
    try:
        command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [line.strip() for line in listed.splitlines() if line.strip()]


def _versions() -> list[str]:
    installed = dict.fromkeys(LIBRARIES)
    for name in LIBRARIES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return [f"{name} {version}" for name, version in installed.items() if version]


def _commit() -> str:
    """The commit of these files, with a plus sign if what is measured differs from it."""
    here = Path(__file__).parent
    # The results themselves are no change.
    commands = (
        ["rev-parse", "--short=10", "HEAD"],
        ["status", "--porcelain", "--", ":/kerascnn", ":/training", "*.py"],
    )
    try:
        commit, changes = (
            subprocess.run(["git", *words], cwd=here, check=True, capture_output=True, text=True).stdout.strip()
            for words in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changes else "")
