"""Safe readers of model checkpoints."""
