"""How the service has been: looked at every minute by a worker, and kept for a week."""
