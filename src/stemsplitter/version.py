"""The version, in a module of its own: packages import it without importing the library."""

__version__ = "0.1.0"
