"""Probing of untrusted files: by their first bytes, and by decoding them in a limited process."""
