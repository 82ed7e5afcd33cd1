"""Boxes as regions: overlap, matching with labels, and their table."""
