"""Slack's side: a workspace on loopback that speaks Slack's protocols to an app."""

from tidegate_dev.slack.deliveries import Delivery
from tidegate_dev.slack.far_end import NotThereError, SlackFarEnd
from tidegate_dev.slack.messages import Message

__all__ = ["Delivery", "Message", "NotThereError", "SlackFarEnd"]
