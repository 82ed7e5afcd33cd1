"""Label-error findings."""
