"""A program that passes its input on to standard error, but for what libjpeg says there of damaged files.

A process of its own, which outlives the one that it serves: a crash's last words pass too.
"""

from __future__ import annotations

import os
import re

# How libjpeg's lines on damaged files begin, warnings and errors; its jerror.h has all of them.
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
    """Ends when the last writer closes the input."""
    held = b""
    while piece := os.read(0, 1 << 16):
        *lines, held = (held + piece).split(b"\n")
        _write(b"".join(line + b"\n" for line in lines if not JPEG_DAMAGE.match(line)))
        # A line that has not ended may be a question, which must be seen.
        if not JPEG_DAMAGE.match(held):
            _write(held)
            held = b""


def _write(text: bytes) -> None:
    while text:
        text = text[os.write(2, text) :]


if __name__ == "__main__":
    main()
