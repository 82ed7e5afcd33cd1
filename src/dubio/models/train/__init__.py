"""Training of segmentation networks (needs the extra ``torch``)."""
