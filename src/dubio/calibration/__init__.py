"""Calibrators: they make a model's stated probabilities come true without retraining it."""
