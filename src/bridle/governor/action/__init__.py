"""The way of one action: who asks, judging, starts, outcomes, budgets."""
