"""Adapters: one file per outside thing."""
