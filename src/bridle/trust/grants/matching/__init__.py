"""What one predicate holds for: the tests themselves, and how values are read for them."""
