"""Jobs of the tools: analyses of songs, effects on audio, and speech."""
