"""The gateway killed at any moment and started again."""
