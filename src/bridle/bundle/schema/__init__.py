"""JSON Schemas of tools, and the Cedar and event schemas made from them."""
