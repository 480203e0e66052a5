"""`bridle serve`: the governor on its sockets."""
