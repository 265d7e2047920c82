"""Stem Splitter: take a song apart into vocals, drums, bass, guitar, piano and the rest."""

__version__ = "0.1.0"
