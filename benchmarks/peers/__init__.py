"""Other programs, for comparison."""
