"""Keys and what they prove. Pure but for the files that hold keys."""
