"""Conditions over history → functions over the indexes of a partition."""
