"""Benchmarks: `python tests/bench` prints them all."""
