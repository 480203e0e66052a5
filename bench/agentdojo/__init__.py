"""AgentDojo without a model: its tasks' ground truths, run in its environments and recorded."""
