"""What a configuration may say, but its writer hardly means."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.core.consistency import PART
from tidegate.core.document import Complaint, Path
from tidegate.core.presets import SHARE_MODES
from tidegate.core.settings import Action, Pathway, Settings, Store
from tidegate.core.web_address import host_of, is_loopback

_REPEATED_REPEAT: Final = re.compile(r"\([^()]*(?<!\\)[+*][^()]*\)[+*{]")


def advise(settings: Settings) -> Iterator[Complaint]:
    """Yield a warning for each part of *settings* that is valid and probably a slip."""
    if not settings.actions:
        yield Complaint(
            path=("actions",), what="there is nothing anyone could do", mend="add an action"
        )
    for name, action in settings.actions.items():
        yield from _admission(("actions", name), action)
        yield from _missing_segments(("actions", name), action)
        yield from _slow_patterns(("actions", name), action)
        yield from _literal_templates(("actions", name, "body"), action.body)
    used = {action.pathway for action in settings.actions.values()}
    for name in settings.pathways:
        if name not in used:
            yield Complaint(
                path=("pathways", name),
                what="no action goes over this pathway",
                mend="name it in an action, or leave it out",
            )
    for name, pathway in settings.pathways.items():
        yield from _tls_without(("pathways", name), pathway)
    yield from _shared_by_none(settings)
    yield from _database(settings.store)
    yield from _not_yet(settings)


def _tls_without(path: Path, pathway: Pathway) -> Iterator[Complaint]:
    """Yield a warning for each file of TLS that plain http has no use for."""
    for key in ("ca_file", "client_cert", "client_key"):
        if pathway.url.startswith("http://") and getattr(pathway, key) is not None:
            yield Complaint(
                path=(*path, key),
                what="there is no TLS over plain http, so this proves nothing",
                mend="use https:// in url, or leave it out",
            )


def _admission(path: Path, action: Action) -> Iterator[Complaint]:
    if not action.allow:
        yield Complaint(
            path=(*path, "allow"),
            what="nobody may use this action",
            mend="add allow: {users: [ID]} or {user_groups: [ID]}",
        )
    for index, rule in enumerate(action.allow):
        if not rule.users and not rule.user_groups:
            yield Complaint(
                path=(*path, "allow", index),
                what="this rule admits nobody: channels and params only narrow",
                mend="add users or user_groups; users: any admits every member",
            )


def _missing_segments(path: Path, action: Action) -> Iterator[Complaint]:
    segments = action.request.path.split("/") if action.request else []
    for name, param in action.params.items():
        certain = param.required or param.default is not None
        if f"{{params.{name}}}" in segments and not certain:
            yield Complaint(
                path=(*path, "params", name),
                what="the path needs this value, but it may be left out",
                mend="add required: true, or a default",
            )


def _literal_templates(path: Path, value: Any) -> Iterator[Complaint]:
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from _literal_templates((*path, key), inner)
        case list() | tuple():
            for index, inner in enumerate(value):
                yield from _literal_templates((*path, index), inner)
        case str() if (part := PART.search(value)) and part[0] != value:
            yield Complaint(
                path=path,
                what=f"{part[0]} is replaced only where it is the whole string; this is sent as is",
                mend="send it as a value of its own",
            )
        case _:
            return


def _slow_patterns(path: Path, action: Action) -> Iterator[Complaint]:
    for name, param in action.params.items():
        if param.pattern is not None and _REPEATED_REPEAT.search(param.pattern):
            yield Complaint(
                path=(*path, "params", name, "pattern"),
                what="a repetition inside a repeated group can take very long on unlucky values",
                mend="write it without one of the two, or keep max_length small",
            )


def _shared_by_none(settings: Settings) -> Iterator[Complaint]:
    """Yield a warning for each action whose way to share is in no bucket's modes."""
    buckets = settings.s3.buckets.values() if settings.s3 is not None else ()
    allowed = {mode for bucket in buckets for mode in bucket.modes}
    for name, action in settings.actions.items():
        mode = SHARE_MODES.get(action.use or "")
        if buckets and mode is not None and action.request is None and mode not in allowed:
            yield Complaint(
                path=("actions", name, "use"),
                what=f"no bucket may be shared from as {mode}, so all that is asked for is refused",
                mend=f"add {mode} to s3.buckets.ALIAS.modes",
            )


def _database(store: Store) -> Iterator[Complaint]:
    """Yield what lets somebody on the way to the database read along, or is of no use."""
    if store.url.startswith("sqlite:"):
        if store.password is not None:
            yield Complaint(
                path=("store", "password"), what="a file has no password", mend="leave it out"
            )
        return
    weak = re.search(r"[?&]sslmode=(disable|allow|prefer|require)\b", store.url)
    hosts = store.url.partition("://")[2].partition("/")[0].rpartition("@")[2].split(",")
    if weak and not all(is_loopback(host_of(host) or "") for host in hosts):
        yield Complaint(
            path=("store", "url"),
            what=f"with sslmode={weak[1]} anyone on the way can pose as the database",
            mend="leave sslmode out: the server's certificate is checked then",
        )


def _not_yet(settings: Settings) -> Iterator[Complaint]:
    """Yield what the format knows, and this version does not carry out."""
    what = "this version does not carry this out yet"
    for index, token in enumerate(settings.api.tokens):
        whole = token.buckets and token.channels and token.modes
        if (token.buckets or token.channels or token.modes) and not whole:
            yield Complaint(
                path=("api", "tokens", index),
                what="this token may share nothing: buckets, channels and modes must all be named",
                mend="name all three, or none for a token that only lists runs",
            )
    if settings.slack.app_token is not None:
        yield Complaint(path=("slack", "app_token"), what=what, mend="use the public listener")
    for name, action in settings.actions.items():
        if action.pathway is None and action.request is not None:
            yield Complaint(
                path=("actions", name),
                what="this action is inactive until it names a pathway",
                mend="add pathway: NAME",
            )
        if action.request is None and settings.s3 is None:
            yield Complaint(
                path=("actions", name),
                what="this action is inactive until there are buckets to share from",
                mend="add s3: {buckets: {…}}",
            )


def impossible(settings: Settings) -> Iterator[Complaint]:
    """Yield a complaint for each part of *settings* that this version cannot start with."""
    if not settings.store.url.startswith("sqlite:") and settings.identity.signing_key is None:
        yield Complaint(
            path=("identity", "signing_key"),
            what="gateways that share a database must sign with one key, and none is named",
            mend="add signing_key: {file: PATH}, made by openssl genpkey -algorithm ed25519",
        )


def references(document: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield every reference to a secret in a file's values, with its key path.

    Works on plain values, so that a file with other problems can be looked through too.
    """
    slack, identity = _keys(document, "slack"), _keys(document, "identity")
    found: list[tuple[Path, Any]] = [
        (("slack", "bot_token"), slack.get("bot_token")),
        (("slack", "app_token"), slack.get("app_token")),
        (("store", "password"), _keys(document, "store").get("password")),
        (("identity", "signing_key"), identity.get("signing_key")),
    ]
    for index, secret in enumerate(_items(slack, "signing_secrets")):
        found.append((("slack", "signing_secrets", index), secret))
    for index, token in enumerate(_items(_keys(document, "api"), "tokens")):
        if isinstance(token, Mapping):
            found.append((("api", "tokens", index, "secret"), token.get("secret")))
    for alias, bucket in _keys(_keys(document, "s3"), "buckets").items():
        front = _keys(bucket, "cloudfront") if isinstance(bucket, Mapping) else {}
        place = ("s3", "buckets", alias, "cloudfront", "private_key")
        found.append((place, front.get("private_key")))
    yield from ((path, ref) for path, ref in found if isinstance(ref, Mapping))


def _keys(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = mapping.get(key)
    return inner if isinstance(inner, Mapping) else {}


def _items(mapping: Mapping[str, Any], key: str) -> list[Any]:
    inner = mapping.get(key)
    return inner if isinstance(inner, list) else []
