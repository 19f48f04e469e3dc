"""What tests of several folders share, imported as `support` (pyproject.toml puts tests/ on the path)."""
