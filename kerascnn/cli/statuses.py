"""What the command's exit status says."""

EXPORT_DISAGREES = 1
PICTURES_SKIPPED = 1
MISTAKE = 2
WORKER_LOST = 3
INTERRUPTED = 130
