"""Cedar as the engine uses it: prepared sets, entities, slices, and one round of asking."""
