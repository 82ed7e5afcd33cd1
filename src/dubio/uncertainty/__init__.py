"""Per-pixel uncertainty: what the class scores say of their own reliability."""
