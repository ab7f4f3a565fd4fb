"""Tidegate: a gate between a Slack workspace and the services and files a team keeps private."""

from typing import Final

__version__: Final = "0.1.0"
