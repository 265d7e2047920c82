"""Accounts, their API keys, and the secrets that sign their webhooks."""
