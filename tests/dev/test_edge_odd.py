"""Whatever comes in, the edge answers, and in the words of its kind."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tidegate_dev.edge import CustomDomain, EdgeConfig, InterfaceEndpoint, Kind, Route, edge_app
from tidegate_dev.listener import bind

ENDPOINT = InterfaceEndpoint(id="vpce-0aaa", suffix="zz")
HOSTS = [
    b"127.0.0.1:80",
    b"a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
    b"deploys.acme.io",
    b"vpce-0aaa-zz.execute-api.eu-west-1.vpce.amazonaws.com",
]
paths = st.one_of(
    st.sampled_from([b"*", b"", b"/", b"//", b"/prod", b"/prod//x", b"/ops/../..", b"/%", b"/ops"]),
    st.binary(max_size=20).map(lambda raw: b"/" + raw),
)
fields = st.lists(
    st.one_of(
        st.tuples(st.just(b"host"), st.sampled_from(HOSTS) | st.binary(max_size=20)),
        st.tuples(st.just(b"authorization"), st.binary(max_size=40)),
        st.tuples(st.sampled_from([b"x-apigw-api-id", b"x-a"]), st.binary(max_size=20)),
    ),
    max_size=4,
)


async def asked(
    kind: Kind, path: bytes, headers: list[tuple[bytes, bytes]], *, auth: Any, port: int
) -> tuple[int, bytes]:
    """Return what the application answers, called as a server calls it."""
    route = Route(key="ANY /{proxy+}" if kind != "http" else "$default", auth=auth)
    edge = edge_app(
        EdgeConfig(
            integration_url=f"http://127.0.0.1:{port}",
            keys={},
            kind=kind,
            routes=(route,),
            endpoint=ENDPOINT,
            domains=(CustomDomain(name="deploys.acme.io", base_path="ops"),),
        )
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "raw_path": path,
        "query_string": b"a=%",
        "headers": headers,
        "scheme": "http",
        "client": ("127.0.0.1", 1),
    }
    await edge(scope, receive, send)
    await edge.aclose()
    start, body = sent
    assert len(edge.exchanges) == 1
    json.dumps(edge.state())
    return start["status"], body["body"]


@pytest.fixture(scope="module")
def nobody() -> Any:
    """A port at which whoever calls is refused."""
    with bind(listening=False) as sock:
        yield sock.getsockname()[1]


@settings(max_examples=examples(250))
@given(
    kind=st.sampled_from(["http", "rest", "private_rest"]),
    path=paths,
    headers=fields,
    auth=st.sampled_from(["AWS_IAM", "NONE"]),
)
@example(kind="http", path=b"*", headers=[], auth="NONE")
def test_whatever_comes_in_the_edge_answers(
    nobody: int, kind: Kind, path: bytes, headers: list[tuple[bytes, bytes]], auth: str
) -> None:
    status, body = asyncio.run(asked(kind, path, headers, auth=auth, port=nobody))
    assert status in (403, 404, 500, 503)
    [name] = json.loads(body)
    assert name in ("message", "Message")
    if auth == "AWS_IAM":
        assert status < 500
