"""Benchmarks: `python -m tests.bench` runs them all. Every bare-named module here is one."""
