"""Detection networks that say how sure they are of each box (needs the extra ``torch``)."""
