"""Analysis of music: key, tuning, tempo, beats and chords of a stream of blocks."""

from stemsplitter.analysis.analyzer import Analysis, Analyzer
from stemsplitter.analysis.chords import Chord
from stemsplitter.analysis.keys import Key, KeyEstimate, transposed
from stemsplitter.analysis.tempo import TempoEstimate

__all__ = ["Analysis", "Analyzer", "Chord", "Key", "KeyEstimate", "TempoEstimate", "transposed"]
