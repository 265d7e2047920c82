"""HTDemucs."""
