"""Safe readers of model checkpoints: they run nothing that a file names."""
