"""The models: which exist, their files on this machine, and loading them."""
