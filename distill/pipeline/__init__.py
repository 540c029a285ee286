"""A run: its stages, in order and side by side, and the folder they fill."""
