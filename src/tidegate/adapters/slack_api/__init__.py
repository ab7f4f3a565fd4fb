"""Slack's Web API, over one connection that its parts share."""

from tidegate.adapters.slack_api.client import SlackClient
from tidegate.adapters.slack_api.files import SlackFiles
from tidegate.adapters.slack_api.messages import SlackApi

__all__ = ["SlackApi", "SlackClient", "SlackFiles"]
