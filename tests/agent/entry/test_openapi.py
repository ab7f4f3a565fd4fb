"""The OpenAPI document is published, and true to what is answered."""

import asyncio
import copy
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from tests.agent.app import stage as stages
from tests.agent.app.stage import Stage
from tests.agent.entry.door import door, listening
from tests.agent.entry.signer import Signer
from tests.agent.entry.signing import Signing
from tidegate_agent.core import request
from tidegate_agent.core.identity import Keys
from tidegate_agent.entry.admission import Admission
from tidegate_agent.entry.http import AgentApp
from tidegate_agent.entry.metrics import Metrics
from tidegate_agent.entry.openapi import openapi

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT / "docs" / "agent.openapi.json"
WEB = {"namespace": "staging", "deployment": "web"}


def test_the_published_document_is_the_one_that_is_served() -> None:
    assert json.loads(PUBLISHED.read_text()) == openapi(), (
        "tidegate agent --openapi > docs/agent.openapi.json"
    )


def test_every_schema_in_it_is_one() -> None:
    for schema in _schemas(openapi()):
        Draft202012Validator.check_schema(schema)


def _schemas(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        for name, inner in part.items():
            if name == "schema":
                yield inner
            elif name == "schemas":
                yield from inner.values()
            yield from _schemas(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _schemas(inner)


def test_every_param_that_is_understood_is_in_it_and_no_other() -> None:
    for verb, known in request.PARAMS.items():
        body = openapi()["paths"][f"/api/v1/{verb}"]["post"]["requestBody"]
        whole, bare = body["content"]["application/json"]["schema"]["anyOf"]
        assert set(bare["properties"]) == known
        assert set(whole["properties"]) == request.ENVELOPE


async def test_there_is_a_route_for_every_path_in_it_and_it_asks_who_calls() -> None:
    async with stages.stage() as stage, door(stage) as at:
        for path, methods in openapi()["paths"].items():
            for method in methods.keys() & {"get", "post"}:
                headers = {"Content-Type": "application/json"}
                place = path.replace("{key}", "run-1")
                told = await at.send(method.upper(), place, b"", None, headers)
                assert told.status == 401, (method, path)
        async with at.session.get(f"{at.url}/openapi.json") as served:
            assert await served.json() == openapi()


async def test_answers_of_every_kind_are_as_it_says() -> None:
    async with stages.stage() as stage, door(stage) as at:
        asked: list[tuple[str, dict[str, Any]]] = [
            ("deploy", {**WEB, "image": "web:9.9.9"}),
            ("deploy", {**WEB, "image": "web:9.9.9", "dry_run": True}),
            ("scale", {**WEB, "replicas": 2, "dry_run": True}),
            ("rollback", {**WEB, "revision": 77}),
            ("restart", {"namespace": "staging", "statefulset": "orders-db"}),
            ("status", {"namespace": "staging"}),
            ("status", WEB),
            ("logs", {**WEB, "tail": 2}),
            ("logs", {**WEB, "tail": 0}),
        ]
        for verb, params in asked:
            told = await at.ask(verb, params)
            operation = openapi()["paths"][f"/api/v1/{verb}"]["post"]
            _check(operation, told.status, told.content)
        run = "run-schema"
        told = await at.ask("restart", {"namespace": "staging", "deployment": "api"}, run=run)
        place = told.headers["Location"]
        following = openapi()["paths"]["/api/v1/operations/{key}"]["get"]
        _check(following, 200, (await at.follow(place, run)).content)
        _check(following, 200, (await at.ended(place, run)).content)


def _check(operation: dict[str, Any], status: int, content: Any) -> None:
    told = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    schema = {**told, "components": openapi()["components"]}
    errors = [error.message for error in Draft202012Validator(schema).iter_errors(content)]
    assert errors == []


# --- whatever it allows, and whatever it does not ------------------------------------------------


def _schemathesis() -> str:
    """Return the program, which has an environment of its own."""
    own = ROOT / ".venv-emulators" / "bin" / "schemathesis"
    found = os.environ.get("SCHEMATHESIS") or (str(own) if own.exists() else None)
    program = found or shutil.which("schemathesis")
    if program is None:
        pytest.skip("schemathesis is not installed")
    return program


@asynccontextmanager
async def _signed(stage: Stage, document: dict[str, Any]) -> AsyncIterator[str]:
    """The agent, with whatever comes signed; it says that *document* is its own."""
    signer = Signer()
    admission = Admission(
        rules=stage.rules, keys=Keys(signer.jwks()), callers=None, clock=stage.clock
    )
    app = AgentApp(
        stage.agent, admission, clock=stage.clock, journal=stage.notes, metrics=Metrics()
    )
    # Whatever comes is signed here, so that no request lacks what it takes to get in.
    open_ = {name: part for name, part in document.items() if name != "security"}
    served = Route("/document.json", lambda _: JSONResponse(open_))
    async with listening(Router([served], default=Signing(app.app, signer))) as url:
        yield url


async def _run(url: str, folder: Path, *options: str) -> str:
    process = await asyncio.create_subprocess_exec(
        _schemathesis(),
        "run",
        f"{url}/document.json",
        f"--url={url}",
        "--no-color",
        "--continue-on-failure",
        "--generation-database=none",
        "--suppress-health-check=all",
        # What the schema allows may be refused all the same: no such image, another key.
        "--exclude-checks=positive_data_acceptance",
        *options,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_whatever_is_sent_the_agent_does_not_break(tmp_path: Path) -> None:
    async with stages.stage() as stage, _signed(stage, openapi()) as url:
        said = await _run(url, tmp_path, "--max-examples=30")
        assert "16 passed" in said
        assert "broken" not in stage.notes.names


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_whatever_is_asked_of_what_there_is_is_answered_as_it_says(tmp_path: Path) -> None:
    async with stages.stage() as stage, _signed(stage, _narrowed()) as url:
        await _run(url, tmp_path, "--max-examples=60", "--mode=positive")
        assert "broken" not in stage.notes.names
        statuses = {fields["status"] for event, fields in stage.notes.events if event == "request"}
        assert {200, 202} <= statuses


def _narrowed() -> dict[str, Any]:
    """Return the document with names of what there is in the cluster, so that they are found."""
    document = copy.deepcopy(openapi())
    there: dict[str, Any] = {
        "namespace": {"enum": ["staging"]},
        "deployment": {"enum": ["web", "api", "worker"]},
        "image": {"enum": ["2.4.0", "web:2.4.1", "registry.example.com/api:1", "nonsense!"]},
        "container": {"enum": ["web", "api", None]},
        "replicas": {"enum": [0, 1, "2", 3]},
        "revision": {"enum": [0, 1, "2"]},
    }
    for verb in request.PARAMS:
        body = document["paths"][f"/api/v1/{verb}"]["post"]["requestBody"]
        content = body["content"]["application/json"]
        bare = content["schema"] = content["schema"]["anyOf"][1]
        for name in ("statefulset", "daemonset"):
            bare["properties"].pop(name)
        for name in bare["properties"].keys() & there.keys():
            bare["properties"][name] = there[name]
        bare["required"] = sorted({*bare.get("required", ()), "deployment"})
    return document
