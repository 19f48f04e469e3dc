"""Training by a teacher: its softened probabilities, and hints of its maps before."""
