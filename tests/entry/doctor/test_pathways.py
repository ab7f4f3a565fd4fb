"""The doctor over every way to a service: silent where it is well, exact where it is not."""

import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from tests.contract import ways
from tests.ports import free_port
from tidegate.adapters import line_probe
from tidegate.adapters.line_probe import LineProbe
from tidegate.adapters.pathways import resolver
from tidegate.adapters.secrets import SecretReader
from tidegate.app.doctor.walk import walk
from tidegate.core.configuration import parse
from tidegate.core.diagnosis.finding import Diagnosis, State
from tidegate.core.diagnosis.line import Certificate, Line, Trouble
from tidegate.entry.doctor.bench import Bench, Hidden
from tidegate.entry.doctor.pathways import pathway_steps
from tidegate.entry.wiring import Configuration

#: What the doctor says where the pathway has another word, or two things under one.
SAID = {
    "explicit_deny": "pathway.denied",
    "wrong_region": "pathway.wrong_region",
    "wrong_name": "tls.other_name",
    "expired_certificate": "tls.expired",
    "foreign_authority": "tls.untrusted",
    "cut": "tls.broken_off",
}


class InsideTheVpc(LineProbe):
    """Finds what listens on loopback by the names that it has in the VPC."""

    def __init__(self, ports: dict[str, int]) -> None:
        self._ports = ports

    def _there(self, line: Line) -> Line:
        port = self._ports.get(line.host)
        return line if port is None else dataclasses.replace(line, host="127.0.0.1", port=port)

    @override
    async def addresses(self, line: Line) -> tuple[str, ...] | Trouble:
        return await super().addresses(self._there(line))

    @override
    async def connect(self, line: Line) -> Trouble | None:
        return await super().connect(self._there(line))

    @override
    async def handshake(self, line: Line) -> Certificate | Trouble:
        return await super().handshake(self._there(line))


@dataclasses.dataclass
class Scene:
    """A way, and the doctor before it."""

    way: ways.Way
    folder: Path

    async def look(self, change: Callable[[dict[str, Any]], object] = dict) -> Diagnosis:
        pathway = dict(self.way.far.configuration)
        change(pathway)
        document = {
            "slack": {"bot_token": {"env": "A"}, "signing_secrets": [{"env": "B"}]},
            "store": {"url": "sqlite:///x"},
            "pathways": {"way": pathway},
            "actions": {
                "run": {
                    "match": {"action_id": ["run"]},
                    "pathway": "way",
                    "request": {"path": "/api/v1/jobs"},
                }
            },
        }
        configuration = Configuration(
            file=self.folder / "tidegate.yaml",
            settings=parse(json.dumps(document), source="test"),
            secrets=SecretReader({}, self.folder),
        )
        names = vars(resolver)["ThreadedResolver"]()
        bench = Bench(
            configuration=configuration,
            environ={"AWS_ENDPOINT_URL_STS": f"http://127.0.0.1:{free_port()}"},
            hidden=Hidden(),
            lines=InsideTheVpc(getattr(names, "_ports", {})),
        )
        try:
            return await walk(pathway_steps(bench))
        finally:
            for close in bench.closing:
                await close()


@asynccontextmanager
async def scene(name: str, folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    patch.setattr(line_probe, "ALERT_SECONDS", 0.02)
    async with ways.opened(name, folder, patch) as way:
        yield Scene(way, folder)


@pytest.mark.parametrize("name", ways.ALL)
async def test_a_way_that_is_well_is_said_to_be(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(name, tmp_path, monkeypatch) as found:
        seen = await found.look()
        assert [finding.code for finding in seen.findings] == []
        assert {check.state for check in seen.checks} == {State.OK}
        # It was asked what became of a run, once for each look, and for nothing else.
        assert found.way.service.posts == []
        signed = {way.__name__ for way in ways.SIGNED}
        gate = [check for check in seen.checks if check.path[-1] == "unsigned"]
        assert bool(gate) == (name in signed)


@pytest.mark.parametrize("name", ["http_api_stage", "rest_regional", "lattice", "privatelink"])
async def test_each_fault_of_a_far_end_is_named_by_its_own_code(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(name, tmp_path, monkeypatch) as found:
        for fault, word in ways.FAULTS[name].items():
            found.way.far.set_fault(fault, True)
            seen = await found.look()
            found.way.far.set_fault(fault, False)
            expected = SAID.get(fault, f"pathway.{word}")
            assert {finding.code for finding in seen.findings} == {expected}, fault
        assert (await found.look()).findings == ()


@pytest.mark.parametrize(
    ("fault", "codes"),
    [("not_accepted", {"tls.no_answer"}), ("service_down", {"pathway.question_failed"})],
)
async def test_an_endpoint_that_leads_nowhere_is_told(
    fault: str, codes: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_probe, "STEP_SECONDS", 0.2)
    async with scene("privatelink", tmp_path, monkeypatch) as found:
        found.way.far.set_fault(fault, True)
        seen = await found.look()
        found.way.far.set_fault(fault, False)
        assert {finding.code for finding in seen.findings} == codes


async def test_a_private_api_by_another_id_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene("private_rest_by_api_id", tmp_path, monkeypatch) as found:
        seen = await found.look(lambda pathway: pathway.update(api_id="zzzz9999zz"))
        assert [finding.code for finding in seen.findings] == ["pathway.edge_forbidden"]


async def test_a_private_address_where_none_is_allowed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene("private_rest_by_private_dns", tmp_path, monkeypatch) as found:
        seen = await found.look(lambda pathway: pathway.pop("private_addresses"))
        assert {finding.code for finding in seen.findings} == {"pathway.not_sent"}
        assert "private_addresses: true" in seen.findings[0].mend


async def test_a_lattice_service_without_auth_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene("lattice", tmp_path, monkeypatch) as found:
        lattice = found.way.far.set_fault.__self__  # type: ignore[attr-defined]
        lattice.config = dataclasses.replace(lattice.config, auth_type="NONE")
        seen = await found.look()
        assert {finding.code for finding in seen.findings} == {"pathway.open_to_the_network"}


async def test_a_token_that_aws_does_not_issue_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene("direct_web_identity", tmp_path, monkeypatch) as found:
        auth = found.way.far.configuration["auth"]
        closed = {**auth, "endpoint_url": f"http://127.0.0.1:{free_port()}"}
        seen = await found.look(lambda pathway: pathway.update(auth=closed))
        assert [finding.code for finding in seen.findings] == ["token.not_issued"]
        skipped = [check.path[-1] for check in seen.checks if check.state is State.SKIPPED]
        assert skipped == ["answer"]
