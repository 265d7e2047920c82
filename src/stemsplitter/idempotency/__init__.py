"""Requests that may be sent twice and must come out once."""
