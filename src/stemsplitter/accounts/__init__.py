"""Accounts, their API keys and webhook secrets."""
