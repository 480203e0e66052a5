"""The governor for autonomous agents: decides, action by action, whether a step may run."""

__all__: list[str] = []
