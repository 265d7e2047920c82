"""Credits: a ledger in which no second of audio is charged twice, and no balance falls below zero."""
