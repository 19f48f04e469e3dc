"""Public weights, where weights come from, and the file formats that they are read from."""
