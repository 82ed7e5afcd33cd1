"""Metrics of how far a model can be trusted: accuracy, calibration, misclassification and unknown objects."""
