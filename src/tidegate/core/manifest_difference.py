"""What an installed Slack app has otherwise than a configuration needs.

Compared is what decides whether something works or what the app may do: rights, addresses,
commands, shortcuts, ways in. What people see (names, texts, colours) is each team's own.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tidegate.core.scopes import Need, missing_scopes, needed_scopes, spare_scopes
from tidegate.core.settings import Settings
from tidegate.core.slack_manifest import (
    ACTIONS_PATH,
    COMMANDS_PATH,
    Wishes,
    manifest,
    matched,
)

_BOT: Final = "oauth_config.scopes.bot"
_UNKNOWN: Final = "people cannot use it: Slack does not know it"
_UNUSED: Final = "nothing in this configuration uses it"
#: Where nothing of Tidegate's listens for them.
_EVENTS: Final = "Tidegate takes them and does nothing with them"
_MAX_LISTED: Final = 1000


class Kind(StrEnum):
    """How something differs."""

    MISSING = "missing"
    DIFFERENT = "different"
    SPARE = "spare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that the app has otherwise.

    Attributes:
        kind: How it differs.
        key: Where in the manifest.
        wanted: What the configuration needs there; None for what it does not.
        found: What the app has; None for what it has not.
        why: What comes of it, in plain words.
        required: Whether something fails for it.
    """

    kind: Kind
    key: str
    wanted: str | bool | None
    found: str | bool | None
    why: str
    required: bool


def of_scopes(
    settings: Settings, granted: Collection[str], wishes: Wishes
) -> tuple[Difference, ...]:
    """Return how the scopes that a bot token has differ from those that it needs."""
    missing = missing_scopes(settings, granted, send_files=wishes.send_files)
    spare = spare_scopes(settings, granted, send_files=wishes.send_files)
    wanted = [need for need in missing if need.required or not wishes.required_only]
    unneeded: set[str] = set(spare)
    if wishes.required_only:
        needs = needed_scopes(settings, send_files=wishes.send_files)
        unneeded |= {need.scope for need in needs if not need.required} & set(granted)
    return (
        *(_missing_scope(need) for need in wanted),
        *(_spare(_BOT, scope, _UNUSED) for scope in sorted(unneeded)),
    )


def of_manifest(
    settings: Settings, installed: Mapping[str, Any], wishes: Wishes
) -> tuple[Difference, ...]:
    """Return how an app's exported manifest differs from the one that *settings* need.

    Args:
        settings: The configuration.
        installed: The app's manifest, as JSON values of any shape.
        wishes: What the manifest depends on besides; without a `url`, no addresses are compared.

    Raises:
        ConfigError: There can be no such app.
    """
    wanted = manifest(settings, wishes).document
    granted = _texts(_within(installed, "oauth_config", "scopes").get("bot"))
    return (
        *of_scopes(settings, granted, wishes),
        *_user_scopes(installed),
        *_commands(settings, wanted, installed, wishes.url),
        *_shortcuts(settings, wanted, installed),
        *_interactivity(installed, wishes.url),
        *_switches(wanted, installed),
        *_events(installed),
    )


def fails(differences: Sequence[Difference]) -> bool:
    """Tell whether something that is needed is missing, or is otherwise."""
    return any(each.required for each in differences)


# --- rights ---------------------------------------------------------------------------------


def _missing_scope(need: Need) -> Difference:
    return Difference(
        kind=Kind.MISSING,
        key=_BOT,
        wanted=need.scope,
        found=None,
        why="; ".join(need.reasons),
        required=need.required,
    )


def _user_scopes(installed: Mapping[str, Any]) -> Iterator[Difference]:
    why = "Tidegate acts as its bot alone, never as a person"
    for scope in _texts(_within(installed, "oauth_config", "scopes").get("user")):
        yield _spare("oauth_config.scopes.user", scope, why)


# --- what people use ------------------------------------------------------------------------


def _commands(
    settings: Settings, wanted: Mapping[str, Any], installed: Mapping[str, Any], url: str | None
) -> Iterator[Difference]:
    key = "features.slash_commands"
    there = _by(_within(installed, "features").get("slash_commands"), "command")
    needed = _by(_within(wanted, "features").get("slash_commands"), "command")
    for name in needed:
        if name not in there:
            yield _missing(key, name, _UNKNOWN)
    prefixes = _prefixes(settings, "command")
    for name, command in there.items():
        if name not in needed and not name.startswith(prefixes):
            yield _spare(key, name, _UNUSED)
        elif url is not None:
            yield from _address(f"{key}[{name}].url", f"{url}{COMMANDS_PATH}", command.get("url"))


def _shortcuts(
    settings: Settings, wanted: Mapping[str, Any], installed: Mapping[str, Any]
) -> Iterator[Difference]:
    key = "features.shortcuts"
    there = _by(_within(installed, "features").get("shortcuts"), "callback_id")
    needed = _by(_within(wanted, "features").get("shortcuts"), "callback_id")
    for name in needed:
        if name not in there:
            yield _missing(key, name, _UNKNOWN)
    prefixes = _prefixes(settings, "shortcut")
    for name in there:
        if name not in needed and not name.startswith(prefixes):
            yield _spare(key, name, _UNUSED)


def _prefixes(settings: Settings, kind: str) -> tuple[str, ...]:
    return tuple(text[:-1] for _, text in matched(settings, kind) if text.endswith("*"))


# --- ways in --------------------------------------------------------------------------------


def _interactivity(installed: Mapping[str, Any], url: str | None) -> Iterator[Difference]:
    key = "settings.interactivity"
    there = _within(installed, "settings", "interactivity")
    if there.get("is_enabled") is not True:
        yield _missing(f"{key}.is_enabled", True, "no button does anything")
    if url is not None:
        yield from _address(f"{key}.request_url", f"{url}{ACTIONS_PATH}", there.get("request_url"))
    options = _text(there.get("message_menu_options_url"))
    if options:
        why = "Tidegate has no choices to offer there"
        yield _spare(f"{key}.message_menu_options_url", options, why)


def _address(key: str, wanted: str, found: object) -> Iterator[Difference]:
    if not _text(found):
        yield _missing(key, wanted, "Slack does not know where to send what people do")
    elif found != wanted:
        yield _different(key, wanted, _text(found), "what people do is sent somewhere else")


def _switches(wanted: Mapping[str, Any], installed: Mapping[str, Any]) -> Iterator[Difference]:
    home = _within(installed, "features", "app_home")
    # Slack leaves out what is off, and the tab is on in an app that says nothing of it.
    if home.get("messages_tab_enabled") is False:
        why = "notices that only one person is to see cannot come as direct messages"
        yield _different("features.app_home.messages_tab_enabled", True, False, why)
    if not _within(installed, "features", "bot_user"):
        yield _missing("features.bot_user", "a bot user", "there is no bot token without one")
    for name, why in (
        ("socket_mode_enabled", "Slack sends everything the one way or the other, never both"),
        ("token_rotation_enabled", "the bot token would end after 12 hours, and nobody renew it"),
    ):
        want = bool(_within(wanted, "settings").get(name))
        have = _within(installed, "settings").get(name) is True
        if want != have:
            yield _different(f"settings.{name}", want, have, why)


def _events(installed: Mapping[str, Any]) -> Iterator[Difference]:
    there = _within(installed, "settings", "event_subscriptions")
    for kind in ("bot_events", "user_events"):
        for event in _texts(there.get(kind)):
            yield _spare(f"settings.event_subscriptions.{kind}", event, _EVENTS)


# --- making differences, and reading what may have any shape --------------------------------


def _missing(key: str, wanted: str | bool, why: str) -> Difference:
    return Difference(kind=Kind.MISSING, key=key, wanted=wanted, found=None, why=why, required=True)


def _different(key: str, wanted: str | bool, found: str | bool, why: str) -> Difference:
    return Difference(
        kind=Kind.DIFFERENT, key=key, wanted=wanted, found=found, why=why, required=True
    )


def _spare(key: str, found: str, why: str) -> Difference:
    return Difference(kind=Kind.SPARE, key=key, wanted=None, found=found, why=why, required=False)


def _within(document: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return the mapping below *keys*; an empty one where there is none."""
    for key in keys:
        inner = document.get(key)
        document = inner if isinstance(inner, Mapping) else {}
    return document


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    items = value[:_MAX_LISTED] if isinstance(value, list) else []
    return list(dict.fromkeys(item for item in items if isinstance(item, str)))


def _by(value: object, key: str) -> dict[str, Mapping[str, Any]]:
    """Return the mappings of a list, by what each says under *key*."""
    items = value[:_MAX_LISTED] if isinstance(value, list) else []
    mappings = [item for item in items if isinstance(item, Mapping)]
    return {item[key]: item for item in mappings if isinstance(item.get(key), str)}
