"""Who somebody is: keys in force and how they change, proofs of holders, executors."""
