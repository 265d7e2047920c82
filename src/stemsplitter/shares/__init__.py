"""Links that show a split to people without an account."""
