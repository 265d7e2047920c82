"""Rate limits of accounts and addresses."""
