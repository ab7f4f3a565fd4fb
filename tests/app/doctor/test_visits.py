"""Looks at far ends that behave in ways which are hard to bring about on a wire."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from tests.core.test_settings import SMALLEST
from tidegate.adapters.clock import SystemClock
from tidegate.app.doctor.line import LineVisit
from tidegate.app.doctor.objects import BucketVisit
from tidegate.app.doctor.pathway import PathwayVisit
from tidegate.app.doctor.place import QueueVisit
from tidegate.app.doctor.slack import SlackVisit
from tidegate.app.doctor.walk import Step, walk
from tidegate.core.bucket import Address
from tidegate.core.configuration import parse
from tidegate.core.diagnosis.finding import Check, State
from tidegate.core.diagnosis.line import Certificate, Line, Trouble
from tidegate.core.diagnosis.objects import Look
from tidegate.core.diagnosis.pathway import Kind, Way
from tidegate.core.diagnosis.queue import Look as QueueLook
from tidegate.core.diagnosis.slack import Channel
from tidegate.core.share import Mode, Object, Rules, Scan
from tidegate.errors import CredentialsError, ObjectsError, ShareError, SlackError
from tidegate.ports import (
    Answered,
    Group,
    Link,
    NoAnswer,
    NotSent,
    Person,
    Request,
    Response,
    Workspace,
)

Value = TypeVar("Value")
DISBELIEF = b'{"message":"The request does not prove who asked.","status":"refused"}'

REPORT = Object(bucket="acme", key="q3/a.csv", size=1, etag='"1"', version_id="v1")


@dataclass
class Lines:
    """Lines that stand, unless it is said why not."""

    trouble: Trouble | None = None

    async def addresses(self, line: Line) -> tuple[str, ...] | Trouble:
        return self.trouble or ("10.0.0.5",)

    async def connect(self, line: Line) -> Trouble | None:
        return None

    async def handshake(self, line: Line) -> Certificate | Trouble:
        return Certificate(life=(0.0, 1e11), issuer="Acme", version="TLSv1.3")


def line(root: str, *, trouble: Trouble | None = None, inside: bool = False) -> LineVisit:
    return LineVisit(
        path=(root, "far"),
        line=Line(host="far.internal", port=443, tls=True, name="far.internal"),
        lines=Lines(trouble),
        clock=SystemClock(),
        inside=inside,
    )


async def looked(steps: Sequence[Step]) -> dict[str, Check]:
    found = await walk(steps)
    return {check.path[-1]: check for check in found.checks}


def codes(check: Check) -> list[str]:
    return [finding.code for finding in check.findings]


async def test_a_line_ends_where_it_first_fails() -> None:
    found = await looked(line("s3", trouble=Trouble.NO_RESOLVER).steps())
    assert codes(found["dns"]) == ["dns.no_answer"]
    assert [found[name].state for name in ("tcp", "tls")] == [State.SKIPPED] * 2


# --- S3 ------------------------------------------------------------------------------------


@dataclass
class Objects:
    """A bucket, and what goes wrong with it."""

    keys_: Sequence[str] | Exception = ("q3/", "q3/a.csv")
    head_: Object | Exception = REPORT
    tags_: Mapping[str, str] | Exception = field(
        default_factory=lambda: {"GuardDutyMalwareScanStatus": "NO_THREATS_FOUND"}
    )
    link_: Exception | None = None
    signed: int = 200
    unsigned: int = 403
    opened_: int = 206

    async def look(
        self,
        method: str,
        bucket: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        *,
        signed: bool = True,
    ) -> Look:
        return Look(status=self.signed if signed else self.unsigned)

    async def opened(self, link: Link) -> Look:
        return Look(status=self.opened_)

    def address_of(self, bucket: str) -> Address:
        return Address(bucket=bucket, region="eu-west-1")

    async def keys(self, bucket: str, prefix: str, *, most: int) -> Sequence[str]:
        return _or_raise(self.keys_)

    async def head(self, bucket: str, key: str) -> Object:
        assert not key.endswith("/")
        return _or_raise(self.head_)

    async def tags(self, found: Object) -> Mapping[str, str]:
        return _or_raise(self.tags_)

    async def link(self, found: Object, *, seconds: int, name: str) -> Link:
        if self.link_ is not None:
            raise self.link_
        return Link(url="https://acme/secret", expires_at=1.0)


def _or_raise(value: Value | Exception) -> Value:
    if isinstance(value, Exception):
        raise value
    return value


class Front:
    def link(self, found: Object, *, seconds: int, name: str) -> Link:
        return Link(url="https://d1.cloudfront.net/secret", expires_at=1.0)


async def bucket(
    objects: Objects,
    *,
    modes: frozenset[Mode] = frozenset({Mode.LINK}),
    front: Front | None = None,
    left: float | None = None,
    expires_seconds: int = 3600,
) -> dict[str, Check]:
    rules = Rules(
        alias="far",
        bucket="acme",
        prefix="q3/",
        modes=modes,
        scan=Scan(guardduty=True),
        expires_seconds=expires_seconds,
        front=front is not None,
    )
    visit = BucketVisit(
        rules=rules,
        region="eu-west-1",
        objects=objects,
        left=lambda: left,
        front=front,
        line=line("s3"),
        clock=SystemClock(),
        proof=("s3", "credentials"),
    )
    return await looked(visit.steps())


async def test_a_bucket_that_is_well_is_told_in_short() -> None:
    found = await bucket(Objects())
    assert {name: check.said for name, check in found.items() if check.findings} == {}
    assert found["clock"].state is State.UNTOLD  # no Date in these answers
    assert found["tags"].said == "there"


async def test_a_bucket_without_objects_cannot_be_tried() -> None:
    found = await bucket(Objects(keys_=()))
    for name in ("read", "link", "tags"):
        assert found[name].state is State.UNTOLD
    found = await bucket(Objects(keys_=("q3/", "q3/folder/")))
    assert found["read"].said == "no object is found below acme/q3/ to try it"


@pytest.mark.parametrize(("error", "expected"), [("no_access", ["s3.get_denied"]), ("busy", [])])
async def test_an_object_that_is_not_given_is_told_by_why(error: str, expected: list[str]) -> None:
    found = await bucket(Objects(head_=ObjectsError(error)))
    assert codes(found["read"]) == expected
    assert found["private"].findings == ()


async def test_a_bucket_that_may_not_be_listed_is_not_called_unreadable() -> None:
    found = await bucket(Objects(keys_=ObjectsError("no_access")))
    assert found["read"].state is State.UNTOLD


async def test_tags_that_do_not_come_for_now_are_no_finding() -> None:
    found = await bucket(Objects(tags_=ObjectsError("busy")))
    assert found["tags"].state is State.UNTOLD


async def test_credentials_that_are_about_to_end_sign_no_link() -> None:
    found = await bucket(Objects(link_=ShareError("expired_credentials", "x")), left=0.5)
    assert found["link"].state is State.UNTOLD
    assert codes(found["lifetime"]) == ["s3.links_cut_short"]


@pytest.mark.parametrize(("status", "expected"), [(206, []), (403, ["s3.front_refuses"])])
async def test_where_cloudfront_stands_before_it_its_links_are_tried(
    status: int, expected: list[str]
) -> None:
    found = await bucket(Objects(opened_=status), front=Front(), expires_seconds=31_536_000)
    assert codes(found["link"]) == expected
    assert "lifetime" not in found


async def test_where_no_links_are_given_none_is_tried() -> None:
    found = await bucket(Objects(), modes=frozenset({Mode.UPLOAD}))
    assert not {"link", "lifetime"} & set(found)


async def test_an_s3_that_fails_is_told_once() -> None:
    found = await bucket(Objects(signed=500))
    assert codes(found["bucket"]) == ["s3.fails"]
    assert found["read"].state is State.SKIPPED


# --- a queue -------------------------------------------------------------------------------


async def test_credentials_that_went_meanwhile_are_told_of_the_queue() -> None:
    class Gone:
        async def look(self, url: str | None = None) -> QueueLook:
            raise CredentialsError("none")

    visit = QueueVisit(
        url="https://sqs.eu-central-1.amazonaws.com/1/q",
        dead_letter_url=None,
        region="eu-west-1",
        queue=Gone(),
        line=line("queue"),
        proof=("s3", "credentials"),
    )
    found = await looked(visit.steps())
    assert codes(found["settings"]) == ["queue.other_region"]
    assert found["queue"].state is State.SKIPPED
    visit = QueueVisit(
        url="https://sqs.eu-west-1.amazonaws.com/1/q",
        dead_letter_url=None,
        region="eu-west-1",
        queue=Gone(),
        line=line("queue"),
        proof=("s3", "credentials"),
    )
    found = await looked(visit.steps())
    assert codes(found["queue"]) == ["queue.keys_refused"]


# --- Slack ---------------------------------------------------------------------------------


@dataclass
class Slack:
    """A workspace, and what it does not tell."""

    granted: frozenset[str] | None = None
    error: SlackError | None = None

    async def workspace(self) -> Workspace:
        return Workspace(team_id="T1", bot_id="B1", user_id="U1")

    async def scopes(self) -> frozenset[str] | None:
        return self.granted

    async def date(self) -> str | None:
        return None

    async def channel(self, channel_id: str) -> Channel | None:
        if self.error is not None:
            raise self.error
        return Channel(
            channel_id=channel_id, name="ops", member=True, archived=False, external=False
        )

    async def groups(self, group_ids: frozenset[str]) -> Mapping[str, Group]:
        return {}

    async def person(self, user_id: str) -> Person | None:
        return None


async def slack(far: Slack, text: str = SMALLEST) -> dict[str, Check]:
    settings = parse(text, source="test")
    visit = SlackVisit(settings=settings, slack=far, clock=SystemClock(), needs=())
    return await looked(visit.steps())


async def test_scopes_that_slack_does_not_tell_are_no_finding() -> None:
    assert (await slack(Slack()))["scopes"].state is State.UNTOLD


@pytest.mark.parametrize(
    ("error", "state"),
    [("missing_scope", State.UNTOLD), ("ratelimited", State.UNTOLD), ("fatal", State.WRONG)],
)
async def test_what_a_missing_scope_hides_is_told_of_the_scopes_alone(
    error: str, state: State
) -> None:
    found = await slack(Slack(error=SlackError(error)))
    assert found["C0HELDOUT"].state is state


async def test_channels_of_api_tokens_are_looked_at_and_direct_messages_are_not() -> None:
    text = SMALLEST + (
        "api: {tokens: [{name: ci, secret: {env: T}, channels: [C0CI, D0ME]}]}\n"
        "s3: {buckets: {a: {name: acme, channels: [C0S3]}}}\n"
    )
    found = await slack(Slack(), text)
    assert {"C0CI", "C0S3", "C0HELDOUT"} <= set(found)
    assert "D0ME" not in found


async def test_where_rules_admit_everyone_nobody_is_looked_up() -> None:
    found = await slack(Slack(), SMALLEST.replace("users: [U0HELDOUT]", "users: any"))
    assert not {"people", "groups"} & set(found)


# --- a pathway -----------------------------------------------------------------------------


@dataclass
class Upstream:
    """Answers what it is told to."""

    answer: Callable[[Request], Response]
    seen: list[Request] = field(default_factory=list)

    async def send(self, request: Request) -> Response:
        self.seen.append(request)
        return self.answer(request)

    async def close(self) -> None:
        return


class Signer:
    def sign(self, claims: Mapping[str, Any]) -> str:
        return f"{claims['aud']}.{claims['iss']}"

    def jwks(self) -> Mapping[str, Any]:
        return {}


def visit(
    upstream: Upstream,
    unsigned: Upstream | None = None,
    *,
    paths: tuple[str, ...] = ("/api/v1/deploy",),
    signer: Signer | None = None,
) -> PathwayVisit:
    return PathwayVisit(
        name="far",
        way=Way(kind=Kind.DIRECT, url="https://far.internal/x", timeout_seconds=5, paths=paths),
        line=line("pathways"),
        upstream=upstream,
        unsigned=unsigned,
        seconds=5.0,
        signer=signer,
        clock=SystemClock(),
        issuer="tidegate",
        audience="far",
        base_path="/x",
        stage=False,
        proof=None,
        audiences=["far", "near"],
    )


Answering = Callable[[Request], Response]


def saying(response: Response) -> Answering:
    return lambda _: response


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (NoAnswer(reason="timeout"), "pathway.timeout"),
        (NoAnswer(reason="no_answer"), "pathway.no_answer"),
        (NotSent(reason="connect"), "pathway.not_sent"),
    ],
)
async def test_a_pathway_without_an_answer_is_told_by_why(response: Response, code: str) -> None:
    far = Upstream(saying(response))
    found = await looked(visit(far, Upstream(saying(response))).steps())
    assert codes(found["answer"]) == [code]
    assert codes(found["unsigned"]) == [code]
    assert found["clock"].state is State.UNTOLD
    assert found["agent"].state is State.SKIPPED


async def test_nothing_is_asked_with_an_effect() -> None:
    far = Upstream(saying(Answered(status=401, body=DISBELIEF)))
    gate = Upstream(saying(Answered(status=403, body=b'{"message":"Forbidden"}')))
    await looked(visit(far, gate, signer=Signer()).steps())
    for request in (*far.seen, *gate.seen):
        assert request.method == "GET"
        assert request.body == b""
        assert request.path == f"/api/v1/deploy/operations/{request.run_id}"
        assert request.run_id.startswith("doctor-")
    assert [request.headers.get("Tidegate-Identity") for request in gate.seen] == [None]


async def test_the_first_statement_that_is_believed_ends_the_search() -> None:
    missing = b'{"message":"There is no such operation.","status":"refused"}'

    def answer(request: Request) -> Response:
        known = request.headers["Tidegate-Identity"] == "near.tidegate"
        return Answered(status=404 if known else 401, body=missing if known else DISBELIEF)

    far = Upstream(answer)
    found = await looked(visit(far, signer=Signer()).steps())
    assert codes(found["agent"]) == ["agent.other_audience"]
    assert [request.headers["Tidegate-Identity"] for request in far.seen] == [
        "far.tidegate",
        "near.tidegate",
    ]


async def test_without_a_key_the_agent_is_not_blamed() -> None:
    far = Upstream(saying(Answered(status=401, body=DISBELIEF)))
    found = await looked(visit(far).steps())
    assert found["agent"].state is State.UNTOLD
    assert "Tidegate-Identity" not in far.seen[0].headers


async def test_a_pathway_that_nothing_goes_over_is_not_judged_by_an_answer() -> None:
    far = Upstream(saying(Answered(status=403, body=b"", fault="not_permitted")))
    found = await looked(visit(far, paths=()).steps())
    assert found["answer"].state is State.UNTOLD
    assert "agent" not in found


async def test_another_service_is_only_known_to_be_reached() -> None:
    far = Upstream(saying(Answered(status=404, body=b"")))
    found = await looked(visit(far, paths=("/jobs",)).steps())
    assert found["answer"].said == "404: it is reached, and nothing more is known of it"
