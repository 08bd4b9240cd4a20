"""The data folder, settings and keys."""
