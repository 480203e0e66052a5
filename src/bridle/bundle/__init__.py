"""Bundles: load, check, digest, and the schemas generated from their tools."""
