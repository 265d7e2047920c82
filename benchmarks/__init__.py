"""Benchmarks of speed, memory and parity. See README.md."""
