"""Which student is the best for this CPU: latency first, then short trainings, then one in full."""
