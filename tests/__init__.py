"""Tidegate's tests; `tests.*` also holds the far ends and builders that they share."""
