"""Tools on files: a source, a transformation with a few parameters, a result."""
