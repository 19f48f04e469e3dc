"""A program that copies its input to standard error without libjpeg's messages about damaged files.

It is a separate process because it must outlive a crash of the program that it serves.
"""

from __future__ import annotations

import os
import re

# The beginnings of libjpeg's warnings and errors about damaged files, from its jerror.h.
JPEG_DAMAGE = re.compile(
    rb"Corrupt JPEG data: |Warning: unknown JFIF revision number |Unknown Adobe color transform code |"
    rb"Premature end of JPEG file|Inconsistent progression sequence for component |JPEG datastream contains no image|"
    rb"Invalid (SOS parameters for sequential JPEG|JPEG file structure: |progressive parameters |"
    rb"component ID \d+ in SOS|crop request)|"
    rb"Bogus (Huffman table definition|marker length|DQT index |DHT index |DAC |sampling factors|JPEG colorspace)|"
    rb"Unsupported (marker type 0x|JPEG process: |JPEG data precision |color conversion request)|"
    rb"(Quantization|Huffman|Arithmetic) table 0x\w+ was not defined|Not a JPEG file: starts with |"
    rb"Empty (JPEG image|input file)|Input file read error|Maximum supported image dimension is |"
    rb"Too many color components: |Improper call to JPEG library in state |Application transferred too "
)


def main() -> None:
    """Copies until the last writer closes the input."""
    rest = b""
    while piece := os.read(0, 1 << 16):
        *lines, rest = (rest + piece).split(b"\n")
        _write(b"".join(line + b"\n" for line in lines if not JPEG_DAMAGE.match(line)))
        # An incomplete line may be a question, which must be shown.
        if not JPEG_DAMAGE.match(rest):
            _write(rest)
            rest = b""


def _write(text: bytes) -> None:
    while text:
        text = text[os.write(2, text) :]


if __name__ == "__main__":
    main()
