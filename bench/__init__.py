"""Proof: latency and accuracy on this machine, and the report."""
