"""Other programs that do the same, run for comparison."""
