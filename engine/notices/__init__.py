"""Notifies a person of what has ended, or needs them, while nobody looks."""
