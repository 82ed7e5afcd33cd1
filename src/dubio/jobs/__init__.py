"""Whole jobs: what a command does, as a function that fills a run folder."""
