"""Messages that accounts choose to get: their splits have ended, their credits are low."""
