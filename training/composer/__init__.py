"""Algorithmic songs for training: `compose` writes one."""

from training.composer.song import compose

__all__ = ["compose"]
