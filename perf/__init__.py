"""Scripts that measure this project itself; not in the wheel."""
