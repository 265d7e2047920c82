"""Rate limits of API keys, accounts and addresses."""
