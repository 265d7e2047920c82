"""Atomic files and folders, file names, archives."""
