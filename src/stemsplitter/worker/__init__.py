"""What workers do: splits and webhooks are taken from their own rows, and taken over when a worker dies.

Knows nothing of either but how they are taken; and is the only package that runs separation in processes of its own.
"""
