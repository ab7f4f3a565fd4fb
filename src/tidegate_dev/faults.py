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
