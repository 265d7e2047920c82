"""Everything between a dry part and a song on a record."""

from training.effects.codec import mp3_round_trip
from training.effects.mastering import master
from training.effects.strip import process

__all__ = ["master", "mp3_round_trip", "process"]
