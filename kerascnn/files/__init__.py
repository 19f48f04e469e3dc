"""Files: downloads, archives, checksums and atomic writes. Nothing here knows of images or networks."""
