"""The governor for enforcement points that are no Python: HTTP here, its socket behind.

A process of its own (`bridle http`) that is a workload, proved with its key: it decides nothing and
has no authority but that workload's. What goes wrong in it is a refusal, and never the governor's.
"""
