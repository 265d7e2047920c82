"""Credits: balances and their ledger."""
