"""Segments as rows of a table, matched with labels; meta models."""
