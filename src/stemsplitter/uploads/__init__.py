"""Uploads: reserved, received once and exactly, then used by a split."""
