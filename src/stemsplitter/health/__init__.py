"""Health of the service: checks every minute by a worker, stored for a week."""
