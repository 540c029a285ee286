"""What gives labels away before pixels are seen."""
