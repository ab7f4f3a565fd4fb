"""Journeys against in-memory ports."""
