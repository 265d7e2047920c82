"""Jobs: their table, their fair queue, and the claims, runs and endings that splits and the tools share."""
