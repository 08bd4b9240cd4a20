"""Hosts media for platforms that have no uploads of their own."""
