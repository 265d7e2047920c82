"""The separation engine."""
