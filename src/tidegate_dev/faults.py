"""The switches at the bottom of the page: what can be made to fail, in plain words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

FAULTS: Final = {
    "service_slow": ("service slow", "The way to the agent takes 5 seconds for each request."),
    "service_down": ("service down", "The agent's process is ended, and stays so meanwhile."),
    "slack_429": ("Slack 429", "Slack says that the gateway writes too often (429)."),
    "slack_hang": ("Slack hangs", "Slack takes what the gateway writes and does not answer."),
    "edge_throttle": ("edge throttles", "The API Gateway turns every request away (429)."),
    "edge_not_permitted": (
        "not permitted",
        "No IAM policy lets the gateway's role invoke the API (403).",
    ),
    "edge_clock_skew": (
        "clocks differ",
        "The API Gateway's clock is 20 minutes ahead, so every signature has expired (403).",
    ),
    "edge_wrong_region": (
        "wrong region",
        "The API is in another region than the gateway signs for (403).",
    ),
    "edge_wrong_stage": ("wrong stage", "The stage was renamed: the API has no such path (404)."),
    "edge_link_inactive": (
        "VPC link inactive",
        "The VPC link had no request for 60 days, and its network interfaces are gone (503).",
    ),
    "edge_gives_up": (
        "edge gives up",
        "The API Gateway asks the agent, and answers 504 before the agent does: nobody can tell "
        "from that whether it was done.",
    ),
    "rollout_fails": (
        "rollout fails",
        "Every container that starts ends again at once, so no rollout gets through.",
    ),
    "s3_breaks_off": ("S3 breaks off", "S3 ends every download after a few hundred bytes."),
    "s3_asks_to_wait": ("S3 asks to wait", "S3 answers that it is asked too often (503)."),
    "scanner_down": (
        "malware scanner is down",
        "Nothing can be checked for malware, so nothing is shared until it is up again.",
    ),
    "slack_loses_upload": (
        "Slack loses the upload",
        "Slack takes a file, and then never shows it in the channel.",
    ),
}

#: Which of them are the API Gateway's, and what it calls them.
AT_THE_EDGE: Final = {
    "service_slow": "integration_slow",
    "edge_throttle": "throttle",
    "edge_not_permitted": "not_permitted",
    "edge_clock_skew": "clock_skew",
    "edge_wrong_region": "wrong_region",
    "edge_wrong_stage": "wrong_stage",
    "edge_link_inactive": "vpc_link_inactive",
    "edge_gives_up": "integration_timeout",
}


class UnknownFaultError(Exception):
    """There is no fault of that name."""


@dataclass(frozen=True, slots=True)
class Switchboard:
    """Switches faults at the far ends; *apply* holds what each switch does."""

    apply: dict[str, Callable[[bool], None]]
    _on: set[str]

    @classmethod
    def over(cls, apply: dict[str, Callable[[bool], None]]) -> "Switchboard":
        """Return a switchboard with everything off."""
        return cls(apply, set())

    def switch(self, name: str, *, on: bool) -> None:
        """The fault *name* is on, or off.

        Raises:
            UnknownFaultError: No switch has that name.
        """
        if name not in self.apply:
            raise UnknownFaultError(name)
        self.apply[name](on)
        (self._on.add if on else self._on.discard)(name)

    def as_json(self) -> list[dict[str, Any]]:
        """Return the switches as the page shows them."""
        return [
            {"name": name, "label": label, "help": words, "on": name in self._on}
            for name, (label, words) in FAULTS.items()
            if name in self.apply
        ]
