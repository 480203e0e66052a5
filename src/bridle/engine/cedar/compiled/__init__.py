"""Cedar policies as Python closures: the same answers as Cedar's own engine, without its call.

Cedar alone parses: policies come as its typed nodes, entities and schema as it prints them. What
is not understood exactly is left to Cedar, never guessed.
"""
