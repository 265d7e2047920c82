"""Analysis of music: key, tuning, tempo and beats of a stream of blocks."""

from stemsplitter.analysis.analyzer import Analysis, Analyzer
from stemsplitter.analysis.keys import Key, KeyEstimate
from stemsplitter.analysis.tempo import TempoEstimate

__all__ = ["Analysis", "Analyzer", "Key", "KeyEstimate", "TempoEstimate"]
