"""Map work over images."""
