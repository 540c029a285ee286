"""Data: samples, layouts, audit, splits, and the simulated set."""
