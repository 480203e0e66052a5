"""Plans: judged as a whole before they run, registered, signed; actions are held against them."""
