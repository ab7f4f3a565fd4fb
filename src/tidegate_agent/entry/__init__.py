"""Entrances: the listener, the command line, and the only place that reads the environment."""
