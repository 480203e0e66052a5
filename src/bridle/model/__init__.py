"""The nouns of Bridle, as plain frozen data. No I/O, no behaviour beyond naming."""
