"""The manifest of the Slack app that a configuration needs.

A manifest says everything that an app's settings pages say, so that an app is made or mended by
pasting it. What is not asked for by the configuration is not in it.

Source: https://docs.slack.dev/reference/app-manifest
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.core import plan
from tidegate.core.document import Path, key_text
from tidegate.core.model import Actor, Interaction, Kind
from tidegate.core.params import usage
from tidegate.core.routes import Route
from tidegate.core.scopes import active_actions, needed_scopes
from tidegate.core.settings import Settings
from tidegate.core.web_address import AddressError, split
from tidegate.errors import ConfigError, Problem

#: Where Slack calls, below the gateway's public address.
ACTIONS_PATH: Final = "/slack/actions"
COMMANDS_PATH: Final = "/slack/commands"

# Bounds of the manifest's fields; source: see the module.
MAX_NAME: Final = 35
MAX_DISPLAY_NAME: Final = 80
MAX_COMMANDS: Final = 50
MAX_COMMAND: Final = 32
MAX_SHORTCUTS: Final = 10
MAX_SHORTCUT_NAME: Final = 24
MAX_USAGE_HINT: Final = 1000
MAX_URL: Final = 2000  # Slack takes 3,000 and more, paths included

DEFAULT_NAME: Final = "Tidegate"
DESCRIPTION: Final = "The gate to what this team keeps private: buttons, commands and files."
_COLOUR: Final = "#0b3d4f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest, and what it cannot say.

    Attributes:
        document: The manifest, as JSON values.
        notes: What is left to a person, in plain words.
    """

    document: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a manifest depends on beside the configuration.

    Attributes:
        url: The gateway's public address; None with Socket Mode, which has none, or where it is
            not known: then the manifest names no addresses, and is there to be compared.
        name: What the app is called in Slack.
        required_only: Leave out the scopes that Tidegate can do without.
        send_files: `tidegate send` sends files, too.
    """

    url: str | None = None
    name: str = DEFAULT_NAME
    required_only: bool = False
    send_files: bool = False


def public_url(text: str) -> str:
    """Return the gateway's public address without a slash at its end.

    Raises:
        AddressError: Slack could not call there.
    """
    parts = split(text)
    if parts.scheme != "https":
        raise AddressError(
            "Slack calls over https only",
            "name the address that people outside have, such as https://tidegate.example.com",
        )
    if len(text) > MAX_URL:
        raise AddressError("the address is too long", f"keep it under {MAX_URL} characters")
    return text.rstrip("/")


def manifest(settings: Settings, wishes: Wishes) -> Manifest:
    """Return the manifest of the app that *settings* need.

    Raises:
        ConfigError: There can be no such app: all that Slack would refuse is listed.
    """
    problems = tuple(_refused(settings, wishes))
    if problems:
        raise ConfigError(problems)
    commands = list(_commands(settings, wishes.url))
    shortcuts = list(_shortcuts(settings))
    features: dict[str, Any] = {
        # Notices to one person may come as direct messages, which need the tab.
        "app_home": {
            "home_tab_enabled": False,
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": True,
        },
        "bot_user": {"display_name": display_name(wishes.name), "always_online": True},
    }
    if shortcuts:
        features["shortcuts"] = shortcuts
    if commands:
        features["slash_commands"] = commands
    document = {
        "_metadata": {"major_version": 2},
        "display_information": {
            "name": wishes.name,
            "description": DESCRIPTION,
            "background_color": _COLOUR,
        },
        "features": features,
        "oauth_config": {"scopes": _scopes(settings, wishes)},
        "settings": _settings(wishes.url, socket_mode=uses_socket_mode(settings)),
    }
    return Manifest(document=document, notes=tuple(_notes(settings)))


def uses_socket_mode(settings: Settings) -> bool:
    """Return whether what people do arrives over a connection that the gateway opens."""
    return settings.slack.app_token is not None


def display_name(name: str) -> str:
    """Return the bot user's name for an app's: only `a-z`, digits, `-`, `_` and `.`."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-")
    return plain[:MAX_DISPLAY_NAME] or "tidegate"


def words(name: str) -> str:
    """Return an action's name as people read it."""
    return re.sub(r"[-_.]+", " ", name).strip().capitalize() or name


def matched(settings: Settings, kind: str) -> Iterator[tuple[Path, str]]:
    """Yield each text of that kind that starts an action, with its place; `*` at the end of some.

    Args:
        settings: The configuration.
        kind: `command` or `shortcut`.
    """
    for name, action in active_actions(settings).items():
        texts: tuple[str, ...] = getattr(action.match, kind, None) or ()
        for index, text in enumerate(texts):
            yield ("actions", name, "match", kind, index), text


# --- its parts ------------------------------------------------------------------------------


def _scopes(settings: Settings, wishes: Wishes) -> dict[str, list[str]]:
    needs = needed_scopes(settings, send_files=wishes.send_files)
    kept = [need for need in needs if need.required or not wishes.required_only]
    scopes = {"bot": [need.scope for need in kept]}
    # Listed in both: the second marks what whoever installs the app may withhold.
    # Source: https://docs.slack.dev/changelog/2026/03/16/optional-scopes
    optional = [need.scope for need in kept if not need.required]
    return {**scopes, "bot_optional": optional} if optional else scopes


def _settings(url: str | None, *, socket_mode: bool) -> dict[str, Any]:
    # Without it on, whoever presses a button that is a mere link is shown a warning.
    interactivity: dict[str, Any] = {"is_enabled": True}
    if url is not None:
        interactivity["request_url"] = f"{url}{ACTIONS_PATH}"
    return {
        "interactivity": interactivity,
        "org_deploy_enabled": False,
        "socket_mode_enabled": socket_mode,
        # A token that ends after 12 hours would have to be renewed by whoever keeps it.
        "token_rotation_enabled": False,
    }


def _commands(settings: Settings, url: str | None) -> Iterator[dict[str, Any]]:
    routes = plan.router(settings).routes
    for path, text in matched(settings, "command"):
        if text.endswith("*"):
            continue
        name = str(path[1])
        command = {"command": text, "description": words(name)}
        if url is not None:
            command["url"] = f"{url}{COMMANDS_PATH}"
        hint = _hint(routes[name], text)
        yield {**command, "usage_hint": hint} if hint else command


def _hint(route: Route, command: str) -> str:
    """Return what comes after a command, as a person is told who writes it wrongly."""
    written = Interaction(kind=Kind.COMMAND, trigger=command, actor=Actor(user_id=""))
    hint = usage(route.params, written).removeprefix(command).strip()
    return hint if len(hint) <= MAX_USAGE_HINT else f"{hint[: MAX_USAGE_HINT - 1]}…"


def _shortcuts(settings: Settings) -> Iterator[dict[str, Any]]:
    for path, text in matched(settings, "shortcut"):
        if text.endswith("*"):
            continue
        name = words(str(path[1]))
        short = name if len(name) <= MAX_SHORTCUT_NAME else f"{name[: MAX_SHORTCUT_NAME - 1]}…"
        yield {
            "name": short,
            "type": _kind(settings, str(path[1])),
            "callback_id": text,
            "description": f"{name} with Tidegate",
        }


def _kind(settings: Settings, action: str) -> str:
    """Return `message` for an action that every rule ties to channels, else `global`.

    A global shortcut is used nowhere in particular: no channel comes with it.
    Source: https://docs.slack.dev/interactivity/implementing-shortcuts
    """
    rules = settings.actions[action].allow
    return "message" if rules and all(rule.channels for rule in rules) else "global"


# --- what it cannot be ----------------------------------------------------------------------


def _notes(settings: Settings) -> Iterator[str]:
    for kind, where in (("command", "slash_commands"), ("shortcut", "shortcuts")):
        for path, text in matched(settings, kind):
            if text.endswith("*"):
                yield (
                    f"{key_text(path)}: {text} stands for many, and Slack wants each by its name: "
                    f"add those there are to features.{where}."
                )
    if uses_socket_mode(settings):
        yield (
            "Socket Mode needs an app-level token with connections:write, which no manifest makes: "
            "create it under Basic Information, App-Level Tokens."
        )


def _refused(settings: Settings, wishes: Wishes) -> Iterator[Problem]:
    if not (wishes.name.strip() and len(wishes.name) <= MAX_NAME and wishes.name.isprintable()):
        what = f"Slack takes 1 to {MAX_NAME} characters, all to be seen"
        yield _problem("--name", what, "give the app another name")
    commands = [(path, text) for path, text in matched(settings, "command") if text[-1] != "*"]
    shortcuts = [(path, text) for path, text in matched(settings, "shortcut") if text[-1] != "*"]
    for path, text in commands:
        if len(text) > MAX_COMMAND:
            what = f"Slack takes commands of at most {MAX_COMMAND} characters"
            yield _problem(key_text(path), what, "shorten it")
    for found, most, what in (
        (commands, MAX_COMMANDS, "slash commands"),
        (shortcuts, MAX_SHORTCUTS, "shortcuts"),
    ):
        if len(found) > most:
            yield _problem(
                key_text(found[most][0]),
                f"an app has at most {most} {what}, and this is number {most + 1}",
                "let some be buttons instead",
            )


def _problem(key: str, what: str, mend: str) -> Problem:
    return Problem(line=None, column=None, key=key, what=what, mend=mend)
