"""Training of detection networks (needs the extra ``torch``)."""
