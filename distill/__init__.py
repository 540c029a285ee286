"""Distillation: recipes, data, methods, training, metrics and the run folder."""
