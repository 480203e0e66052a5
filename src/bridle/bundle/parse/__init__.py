"""The files of a bundle → the nouns of the model. One module per kind of file."""
