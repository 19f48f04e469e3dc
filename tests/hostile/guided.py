"""`python -m tests.hostile.guided tables --seconds 1800`: inputs of one kind, chosen by which lines of code they reach.

The generator of a kind draws from the bytes that atheris (libFuzzer) varies, so that bytes which reach new code are
kept and varied further. Needs `pip install atheris`. Prints each new reason why an input was not held, with its
bytes, then how many were tried; libFuzzer's own lines, with the coverage, go to standard error.
`--again BYTES` tries one input again.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.hostile.kinds import KINDS

LONGEST = 4_096  # bytes of an input


class BytesChance(random.Random):
    """Draws from bytes; after the last, from a generator that they seed.

    Example:
        >>> BytesChance(b"12").getrandbits(16) == int.from_bytes(b"12")
        True
    """

    def __init__(self, content: bytes):
        super().__init__(content)
        self._content, self._place = content, 0

    def getrandbits(self, k: int) -> int:
        """The next k bits."""
        size = (k + 7) // 8
        drawn = self._content[self._place : self._place + size]
        self._place += size
        if len(drawn) < size:
            return super().getrandbits(k)
        return int.from_bytes(drawn) >> (8 * size - k)

    def random(self) -> float:
        """The next 53 bits, as a number from 0 to 1."""
        return self.getrandbits(53) / (1 << 53)


def main() -> None:
    """Reads the options, and varies inputs until the time is over."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.guided", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--again", type=bytes.fromhex, metavar="BYTES", help="as printed")
    parser.add_argument("--corpus", type=Path, help="a folder of inputs to begin with, and to keep")
    options = parser.parse_args()

    import atheris

    with atheris.instrument_imports(include=["kerascnn"]):
        from tests.hostile.attack import attack
        from tests.hostile.kinds import kind

        tried_kind = kind(options.kind)
    with tempfile.TemporaryDirectory() as folder:
        if options.again is not None:
            print(repr(tried_kind.make(BytesChance(options.again)))[:3000], flush=True)
            print(attack(tried_kind, BytesChance(options.again), Path(folder)))
            return
        reasons: set[str] = set()

        def once(content: bytes) -> None:
            _, reason = attack(tried_kind, BytesChance(content), Path(folder))
            # Numbers in a reason may be the input's.
            if reason and (short := reason.split(":")[0]) not in reasons:
                reasons.add(short)
                print(f"{options.kind}, --again {content.hex()}: {reason}", flush=True)

        corpus = [str(options.corpus)] if options.corpus else []
        flags = [f"-max_total_time={options.seconds}", f"-max_len={LONGEST}", "-timeout=0", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *flags, *corpus], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
