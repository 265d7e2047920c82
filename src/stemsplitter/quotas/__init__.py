"""Quotas of bytes: the files that an account may have the server store."""
