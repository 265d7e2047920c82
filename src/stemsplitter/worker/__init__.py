"""Worker processes: heartbeats, the leader, membership, maintenance, retries, and separation in child processes."""
