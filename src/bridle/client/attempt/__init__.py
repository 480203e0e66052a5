"""Around one attempt of an effect: what is asked before, renewed meanwhile, reported after."""
