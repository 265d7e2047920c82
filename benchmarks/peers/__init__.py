"""Other programs for comparison."""
