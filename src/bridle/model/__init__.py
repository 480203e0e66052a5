"""The nouns of Bridle, as plain frozen data. Imports nothing of ours; no I/O, no behaviour beyond naming."""
