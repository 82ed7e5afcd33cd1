"""Detectors: run from a declarative description, adapted from other libraries, trained."""
