"""Calibration of detections: class scores, confidence, and the spread of corners."""
