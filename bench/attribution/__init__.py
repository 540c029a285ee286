"""Which generator made an image: a run's networks and the nearest fingerprint beside each other. Torch-free."""
