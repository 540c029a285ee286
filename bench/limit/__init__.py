"""What this CPU can do at most, measured through the same runtimes, and how near a model comes to it."""
