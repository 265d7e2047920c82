"""BandNet: six stems by masks in bands of frequency; the architecture of the built-in model."""
