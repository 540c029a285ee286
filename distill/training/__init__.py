"""Training one model: batches, the loop, checkpoints, what a teacher says meanwhile."""
