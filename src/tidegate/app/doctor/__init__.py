"""The doctor: the walk through all that a configuration names, place by place."""
