"""Policy text → checked policies: Cedar with annotations, remedies, and (later) history."""
