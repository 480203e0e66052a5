"""Where Bridle stands in other people's software: one file for each, one contract for all."""
