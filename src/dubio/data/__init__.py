"""Formats in and out, label spaces, layouts, synthetic scenes and planted label errors."""
