"""The agent's entrances."""
