"""Files made from the masters of a split on request: stems in other formats, mixes, archives and Stem files."""
