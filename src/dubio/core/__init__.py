"""Records, label spaces, errors, run folders and random seeds."""
