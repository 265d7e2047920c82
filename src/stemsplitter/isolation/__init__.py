"""Isolation of speech from noise."""

from stemsplitter.isolation.isolator import VoiceIsolator
from stemsplitter.isolation.network import Networks

__all__ = ["Networks", "VoiceIsolator"]
