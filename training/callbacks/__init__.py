"""Callbacks: what is logged, shown, averaged and stopped while a network trains."""
