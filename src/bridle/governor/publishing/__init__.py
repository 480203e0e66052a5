"""The signed log: whose keys sign, what is signed when, and where it is put."""
