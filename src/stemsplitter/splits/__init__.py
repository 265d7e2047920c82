"""Splits: songs taken apart for an account, from the request to the stems and their deletion."""
