"""Measured speed, memory and parity. See README.md."""
