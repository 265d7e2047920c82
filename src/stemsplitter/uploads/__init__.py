"""Uploads: reserved, received once with the reserved length, then used by a split."""
