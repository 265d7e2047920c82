"""The processes of a server: a worker, and the parent of all of them."""
