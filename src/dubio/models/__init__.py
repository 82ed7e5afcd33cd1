"""Adapters to models, and their training."""
