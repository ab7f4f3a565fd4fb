"""The agent's settings: a file and the environment become one value, or all that is wrong.

Pure: nothing is read here but the text and the mapping that are given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate_agent.core.roles import Role, Roles
from tidegate_agent.core.rules import Rules
from tidegate_agent.entry import document
from tidegate_agent.entry.document import Path, Problem
from tidegate_agent.entry.format import FILE
from tidegate_agent.entry.shapes import Complain, Keys, Many, Shape, Whole
from tidegate_agent.errors import AgentError, ConfigError

#: Half of what a list reads (`MAX_OBJECTS` of the client): the newest are never removed at once.
MAX_RECORDS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files, relative to the configuration's own folder."""

    cert: str
    key: str
    client_ca: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where a listener is, and how long it may take to end."""

    host: str
    port: int
    tls: Tls | None = None
    drain_seconds: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """Which programs inside the cluster may call.

    Attributes:
        audiences: What their tokens have to be meant for; one suffices.
        users: The names under which the cluster knows their service accounts.
    """

    audiences: tuple[str, ...]
    users: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """How the API server is reached."""

    kubeconfig: str | None
    context: str | None
    timeout_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of it."""

    listen: Listen
    metrics: Listen
    jwks: str
    callers: Callers | None
    cluster: Cluster
    rules: Rules


class SettingsError(AgentError):
    """The configuration cannot be used.

    Attributes:
        problems: Every one of them, by line.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{len(problems)} problem(s) in the configuration")
        self.problems = problems


def parse(text: str, environ: Mapping[str, str]) -> Settings:
    """Return what a file says, with the environment where it says nothing.

    Raises:
        SettingsError: With every problem of the file.
    """
    read = document.read(text)
    problems = list(read.problems)
    if problems and not read.value:
        raise SettingsError(tuple(problems))

    def complain(path: Path, what: str, mend: str) -> None:
        problems.append(read.problem(path, what, mend))

    taken = FILE.take(_with_environment(read.value, FILE, environ), (), complain)
    if not problems:
        _check_names(taken, complain)
    settings = None if problems else _settings(taken, complain)
    if settings is not None:
        return settings
    raise SettingsError(tuple(sorted(set(problems), key=_in_order)))


def environment_names() -> dict[str, str]:
    """Return the variables that are asked where the file says nothing, with their keys."""
    return dict(_variables(FILE, ""))


def _variables(shape: Keys, before: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, key in shape.keys.items():
        if key.environment is not None:
            found.append((key.environment, f"{before}{name}"))
        if isinstance(key.shape, Keys):
            found += _variables(key.shape, f"{before}{name}.")
    return found


def _with_environment(
    value: Mapping[str, Any], shape: Keys, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return *value* with what the environment says for keys that it lacks."""
    whole = dict(value)
    for name, key in shape.keys.items():
        said = environ.get(key.environment or "", "").strip()
        if name not in whole and said:
            whole[name] = _from_text(said, key.shape)
        inner = whole.get(name, {})
        if isinstance(key.shape, Keys) and not key.shape.optional and isinstance(inner, dict):
            filled = _with_environment(inner, key.shape, environ)
            if filled or name in whole:
                whole[name] = filled
    return whole


def _from_text(said: str, shape: Shape) -> Any:
    """Return what a variable says, as the file would say it."""
    if isinstance(shape, Many):
        return [part.strip() for part in said.split(",") if part.strip()]
    if isinstance(shape, Whole) and said.isascii() and said.isdecimal():
        return int(said[:18])
    return said


def _check_names(taken: Mapping[str, Any], complain: Complain) -> None:
    """Complain of names that stand for nothing."""
    served = taken["namespaces"]
    for name, role in taken["roles"].items():
        for index, namespace in enumerate(role["namespaces"] or ()):
            if namespace not in served:
                place = ("roles", name, "namespaces", index)
                complain(place, "the agent does not serve this namespace", "add it to namespaces")
        if not role["groups"] and not role["people"]:
            complain(("roles", name), "nobody has this role", "add groups: [S0…] or people: […]")
    home = taken["records"]["namespace"]
    if home in served:
        complain(
            ("namespaces", served.index(home)),
            "this is the agent's own namespace, where its records are",
            "leave it out, or give records.namespace another",
        )
    default = taken["default_namespace"]
    if default is not None and default not in served:
        complain(("default_namespace",), "the agent does not serve it", "add it to namespaces")


def _settings(taken: Mapping[str, Any], complain: Complain) -> Settings | None:
    try:
        rules = _rules(taken)
    except ConfigError as error:
        for problem in error.problems:
            complain((), problem, "change it")
        return None
    listen, metrics, kubernetes = taken["listen"], taken["metrics"], taken["kubernetes"]
    if not _fits(taken, rules, complain):
        return None
    tls = listen["tls"]
    return Settings(
        listen=Listen(
            host=listen["host"],
            port=listen["port"],
            tls=None if tls is None else Tls(**tls),
            drain_seconds=listen["drain_seconds"],
        ),
        metrics=Listen(host=metrics["host"], port=metrics["port"]),
        jwks=taken["identity"]["jwks"],
        callers=_callers(taken["token_review"]),
        cluster=Cluster(**kubernetes),
        rules=rules,
    )


def _fits(taken: Mapping[str, Any], rules: Rules, complain: Complain) -> bool:
    """Return whether what depends on each other goes together."""
    fits = True
    # A change is noted and then made, one call each, and both end while its lease holds.
    longest = rules.lease_seconds // 2
    if taken["kubernetes"]["timeout_seconds"] > longest:
        what = f"two calls may take longer than an operation is held for ({rules.lease_seconds} s)"
        complain(("kubernetes", "timeout_seconds"), what, f"write a number from 1 to {longest}")
        fits = False
    if taken["records"]["most"] > MAX_RECORDS:
        what = "so many records are more than the agent can list"
        complain(("records", "most"), what, f"write a number from 10 to {MAX_RECORDS}")
        fits = False
    return fits


def _callers(taken: Mapping[str, Any] | None) -> Callers | None:
    if taken is None:
        return None
    accounts = (each.replace("/", ":", 1) for each in taken["service_accounts"])
    return Callers(
        audiences=taken["audiences"],
        users=frozenset(f"system:serviceaccount:{each}" for each in accounts),
    )


def _rules(taken: Mapping[str, Any]) -> Rules:
    """Return the rules. Raises `ConfigError` for what they do not take."""
    identity, records, logs = taken["identity"], taken["records"], taken["logs"]
    return Rules(
        audience=identity["audience"],
        issuer=identity["issuer"],
        home=records["namespace"],
        default_namespace=taken["default_namespace"],
        roles=_roles(taken),
        impersonate=taken["impersonate"],
        registries=taken["registries"],
        digest_required=taken["require_digest"],
        max_replicas=taken["max_replicas"],
        max_log_lines=logs["max_lines"],
        max_log_bytes=logs["max_bytes"],
        rollout_seconds=taken["rollout_seconds"],
        retention_seconds=records["retention_hours"] * 3600,
        max_records=records["most"],
    )


def _roles(taken: Mapping[str, Any]) -> Roles:
    roles = tuple(
        Role(
            name=name,
            namespaces=role["namespaces"] or taken["namespaces"],
            groups=frozenset(role["groups"]),
            people=frozenset(role["people"]),
        )
        for name, role in taken["roles"].items()
    )
    return Roles(roles=roles, individuals=taken["individuals"])


def _in_order(problem: Problem) -> tuple[int, str]:
    return problem.line or 0, problem.key


#: A file that works, for the documentation and for whoever begins.
EXAMPLE: Final = """\
identity:
  audience: cluster           # the pathway's name in tidegate.yaml
  jwks: jwks.json             # tidegate identity jwks > jwks.json
namespaces: [staging, production]
roles:
  deployers: {namespaces: [staging], groups: [S0DEVS]}
  operators: {groups: [S0SRE]}
registries: [registry.example.com]
max_replicas: 20
"""
