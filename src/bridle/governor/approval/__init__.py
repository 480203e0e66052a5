"""What humans say to a hold: votes, edits, exceptions, and what ends them."""
