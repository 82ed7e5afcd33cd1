"""Label errors in boxes: candidates, features, planted errors, the audit's pass, published scores."""
