"""Exports: a log as a folder of plain files that verifies without Bridle, and outlives it."""
