"""What in `deploy/` is made of other files; `scripts/manifests` writes it.

- the chart's schema: what it knows of tidegate.yaml and agent.yaml is the product's own schema;
- the chart's table of values, from that schema and the defaults;
- the plain manifests, rendered from the chart;
- the packages of the images, from the lock.
"""

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy import chart
from tests.deploy.chart import CHART, ROOT, Json

MANIFESTS: Final = ROOT / "deploy/manifests"
IMAGES: Final = ROOT / "deploy/images"
SCHEMA: Final = CHART / "values.schema.json"
README: Final = CHART / "README.md"
LOCK: Final = ROOT / "requirements/dev.txt"
VALUES: Final = MANIFESTS / "values.yaml"
BEGIN: Final = "<!-- values: written by scripts/manifests -->"
END: Final = "<!-- end of values -->"
_HEAD: Final = "# Written by scripts/manifests from the chart and values.yaml beside it.\n"
_OURS: Final = {"server", "admin"}  # the chart writes these
_SETTINGS: Final = ("rollout_seconds", "records", "logs", "kubernetes")


def all_files() -> Iterator[tuple[Path, str]]:
    """Yield each derived file with what it has to hold."""
    schema = schema_text()
    yield SCHEMA, schema
    yield README, readme(json.loads(schema))
    yield from manifests()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    yield IMAGES / "gateway.txt", packages(project["dependencies"] + extras["postgres"])
    yield IMAGES / "agent.txt", packages(extras["agent"])
    yield IMAGES / "build.txt", packages(["hatchling"])


# --- schema ---------------------------------------------------------------------------------------


def schema_text() -> str:
    """Return the chart's schema with the product's own in it."""
    schema = json.loads(SCHEMA.read_text())
    schema["$defs"]["tidegate"] = gateway_schema()
    schema["$defs"]["agent"] = agent_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def gateway_schema() -> Json:
    """Return tidegate.yaml's schema without what the chart writes itself."""
    schema = json.loads((ROOT / "docs/tidegate.schema.json").read_text())
    inner = schema["$defs"]
    for name in _OURS:
        del schema["properties"][name]
    del inner["Store"]["properties"]["url"]
    inner["Store"]["required"] = []
    del schema["$schema"]
    schema["required"] = []
    kept: Json = _moved(_used(schema), "#/$defs/", "#/$defs/tidegate/$defs/")
    return kept


def agent_schema() -> Json:
    """Return what of agent.yaml's schema has no value of the chart's own."""
    schema = json.loads((ROOT / "docs/agent.schema.json").read_text())
    properties = {name: schema["properties"][name] for name in _SETTINGS}
    del properties["records"]["properties"]["namespace"]
    for name in ("kubeconfig", "context"):
        del properties["kubernetes"]["properties"][name]
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _used(schema: Json) -> Json:
    """Return a schema without the definitions that nothing refers to any more."""
    while True:
        text = json.dumps(schema)
        spare = [name for name in schema["$defs"] if f'"#/$defs/{name}"' not in text]
        if not spare:
            return schema
        for name in spare:
            del schema["$defs"][name]


def _moved(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {
            key: each.replace(old, new, 1)
            if key == "$ref" and isinstance(each, str)
            else _moved(each, old, new)
            for key, each in value.items()
        }
    return [_moved(each, old, new) for each in value] if isinstance(value, list) else value


# --- the table of values --------------------------------------------------------------------------


def readme(schema: Json) -> str:
    """Return the chart's README with its table of values."""
    before, _, rest = README.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    rows = [f"| `{key}` | {default} | {what} |" for key, default, what in rows_of(schema, defaults)]
    table = "\n".join(["| key | default | what it says |", "| --- | --- | --- |", *rows])
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def rows_of(schema: Json, defaults: Any) -> Iterator[tuple[str, str, str]]:
    """Yield each key of the values, its default and what it says."""
    yield from _rows(schema, "", schema, defaults)


def _rows(whole: Json, path: str, schema: Json, default: Any) -> Iterator[tuple[str, str, str]]:
    for name, each in schema["properties"].items():
        key = f"{path}{name}"
        found = {**_resolved(whole, each), **each}
        value = default.get(name) if isinstance(default, Mapping) else None
        own = "properties" in found and found.get("$ref", "") not in (
            "#/$defs/tidegate",
            "#/$defs/agent",
            "#/$defs/resources",
        )
        if own:
            yield from _rows(whole, f"{key}.", found, value)
        elif name != "global":
            yield key, _shown(value), found["description"].replace("|", "\\|")
        for step, of_each in ((".NAME", "additionalProperties"), ("[]", "items")):
            inner = found.get(of_each)
            if isinstance(inner, dict) and "properties" in inner:
                yield from _rows(whole, f"{key}{step}.", inner, None)


def _resolved(whole: Json, schema: Json) -> Json:
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    return dict(whole["$defs"][name]) if name else {}


def _shown(value: Any) -> str:
    if value in (None, "", [], {}):
        return ""
    text = json.dumps(value) if isinstance(value, dict | list | bool) else str(value)
    return "see values.yaml" if len(text) > 60 else f"`{text}`"


# --- manifests ------------------------------------------------------------------------------------


def manifests() -> Iterator[tuple[Path, str]]:
    """Yield the plain manifests: the chart rendered with the values beside them, by template."""
    values = yaml.safe_load(VALUES.read_text())
    for part in ("gateway", "agent"):
        rendered = chart.files(values)
        found = [text for path, text in sorted(rendered.items()) if f"/{part}/" in path]
        yield (
            MANIFESTS / f"{part}.yaml",
            _HEAD + "\n---\n".join(map(_plain, filter(str.strip, found))),
        )


def _plain(text: str) -> str:
    """Return a manifest without what says that Helm manages it, and without empty lines."""
    kept = [
        line.rstrip()
        for line in text.strip().removeprefix("---").strip().splitlines()
        if line.strip()
        and not re.match(r"\s+(helm\.sh/chart|app\.kubernetes\.io/managed-by):", line)
    ]
    return "\n".join(kept) + "\n"


# --- packages -------------------------------------------------------------------------------------


def packages(requirements: Iterable[str]) -> str:
    """Return the lock's lines for what these need, with its hashes."""
    wanted = sorted(closure(requirements))
    pinned = _pinned(LOCK.read_text())
    head = "# Written by scripts/manifests from requirements/dev.txt: what runs, with its hashes.\n"
    # What the lock does not have yet cannot be pinned; a test says so.
    return head + "".join(pinned[name] for name in wanted if name in pinned)


def closure(requirements: Iterable[str]) -> set[str]:
    """Return the names of all packages that these need, as far as they are installed here."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in found:
            found.add(name)
            needed = map(Requirement, metadata.requires(name) or ())
            waiting += [each for each in needed if _is_wanted(each, requirement.extras)]
    return found


def _is_wanted(requirement: Requirement, extras: Iterable[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": each}) for each in ("", *extras))


def _pinned(lock: str) -> dict[str, str]:
    """Return each package's own lines of a lock, without comments."""
    found: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        if match := re.match(r"([A-Za-z0-9._-]+)==", line):
            name = canonicalize_name(match[1])
            found[name] = ""
        if name and not line.lstrip().startswith("#") and line.strip():
            found[name] += line
    return found


def main() -> int:
    """Write every derived file, or say which differ."""
    parser = argparse.ArgumentParser(prog="scripts/manifests")
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    check = parser.parse_args().check
    differ = 0
    for path, content in all_files():
        if not path.exists() or path.read_text() != content:
            differ += 1
            print(f"{'differs' if check else 'written'}: {path.relative_to(ROOT)}")
            if not check:
                path.write_text(content)
    return 1 if check and differ else 0


if __name__ == "__main__":
    sys.exit(main())
