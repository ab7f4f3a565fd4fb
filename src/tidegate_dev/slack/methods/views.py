"""views.open: this workspace shows no modals, and says so in Slack's way."""

from typing import Any, Final

from tidegate_dev.slack.errors import ApiError
from tidegate_dev.slack.methods.call import Call, Method


def open_(call: Call) -> dict[str, Any]:
    """Check the trigger and the view as Slack does, then answer that modals are off."""
    trigger = call.arguments.required("trigger_id", "invalid_arguments")
    view = call.arguments.nested("view", "invalid_arguments")
    if not isinstance(view, dict):
        raise ApiError("invalid_arguments", messages=["[ERROR] missing required field: view"])
    call.triggers.exchange(trigger)
    raise ApiError("feature_not_enabled", messages=["[ERROR] this workspace shows no modals"])


METHODS: Final = {"views.open": Method(run=open_, tier=4)}
