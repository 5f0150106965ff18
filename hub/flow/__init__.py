"""The verbs of the hub, in the order of the day."""
