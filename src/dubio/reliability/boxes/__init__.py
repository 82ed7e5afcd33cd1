"""How far a detector can be trusted: average precision, and the quality of its uncertainties."""
