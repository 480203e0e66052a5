"""The pure decision: normalise, detect, slice, judge, remedy. No I/O, no clock, no randomness."""
