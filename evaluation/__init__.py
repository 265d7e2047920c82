"""How well the models separate: SDR on songs whose true stems are public, beside simple references."""
