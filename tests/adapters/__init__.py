"""Adapters against real listeners on loopback."""
