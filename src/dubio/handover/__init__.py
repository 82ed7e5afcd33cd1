"""The hand-over to people and tools: corrected masks, annotation tools, verdicts back."""
