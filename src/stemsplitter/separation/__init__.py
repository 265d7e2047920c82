"""The separation engine: networks, runtimes and the stream around them."""
