"""Speech from phonemes: Kokoro; no I/O but its weights."""

from stemsplitter.speech.kokoro import Kokoro, KokoroVoice

__all__ = ["Kokoro", "KokoroVoice"]
