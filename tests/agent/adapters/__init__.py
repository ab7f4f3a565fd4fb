"""The agent's adapters, against real listeners on loopback."""
