"""The tasks by name, for commands, which load no more than they need."""

TASK_NAMES = ("classification", "reconstruction", "regression", "segmentation", "enhancement")
