"""How calls travel: frames on a Unix socket, or straight into an embedded governor."""
