"""Weights: public ones, where they come from, and the file formats that they are read from."""
