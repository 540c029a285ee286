"""What in an image a model's answer hangs on: maps, and how far they point at what was altered. Torch-free but for ``cam``."""

from deploy.explain.hide import METHODS, Map, explain, squares
from deploy.explain.marks import energy_inside, pointing_game

__all__ = ["METHODS", "Map", "energy_inside", "explain", "pointing_game", "squares"]
