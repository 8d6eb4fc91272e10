"""Benchmarks: ``python -m benchmarks`` prints every figure as a ratio within one run."""
