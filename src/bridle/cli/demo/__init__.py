"""`bridle demo`: a small back office on real parts, and two agents at work in it."""
