"""The benchmark of label-error lists: truth folders, scores, and the published tool's files."""
