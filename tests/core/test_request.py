import hashlib
import json
import posixpath
from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.values import NOW, a_route, a_run
from tidegate.core import request
from tidegate.errors import ParamsError

# --- the body -------------------------------------------------------------------------------


def test_the_body_says_what_was_asked_by_whom_and_where() -> None:
    assert json.loads(request.body(a_route(), a_run())) == {
        "run_id": a_run().id,
        "action": "deploy",
        "action_id": "k8s_deploy",
        "user_id": "U0ADA",
        "user_name": "ada",
        "team_id": "T0TEAM",
        "channel_id": "C0OPS",
        "params": {"namespace": "staging", "deployment": "web"},
    }


def test_every_attempt_sends_the_same_bytes() -> None:
    later = a_run(attempts=3, updated_at=NOW + 60, started_at=NOW)
    assert request.body(a_route(), a_run()) == request.body(a_route(), later)


def test_a_placeholder_is_replaced_by_the_whole_value() -> None:
    template = {
        "replicas": "{params.replicas}",
        "dry": "{params.dry}",
        "who": ["{actor.user_id}", "{actor.user_name}", "{actor.team_id}"],
        "where": {"channel": "{channel_id}", "message": "{message_ts}", "team": "{team_id}"},
        "what": ["{action}", "{action_id}", "{run_id}"],
        "absent": "{params.nothing}",
        "fixed": 7,
    }
    run = a_run(params={"replicas": 3, "dry": False}, user_team_id="T0OTHER")
    assert json.loads(request.body(a_route(body=template), run)) == {
        "replicas": 3,
        "dry": False,
        "who": ["U0ADA", "ada", "T0OTHER"],
        "where": {"channel": "C0OPS", "message": "1700000000.000100", "team": "T0TEAM"},
        "what": ["deploy", "k8s_deploy", run.id],
        "absent": None,
        "fixed": 7,
    }


@pytest.mark.parametrize(
    "text", ["x{params.x}", "{params.x} ", "{{params.x}}", "{params}", "{}", "{params.x.y}", "{X}"]
)
def test_a_text_that_is_not_exactly_a_placeholder_stays(text: str) -> None:
    run = a_run(params={"x": "value"})
    assert json.loads(request.body(a_route(body={"a": text}), run))["a"] in (text, None)
    assert b"value" not in request.body(a_route(body={"a": text}), run)


@given(st.text(), st.text())
def test_no_value_can_leave_its_place_in_the_body(one: str, two: str) -> None:
    run = a_run(params={"one": one, "two": two})
    template = {"one": "{params.one}", "two": ["{params.two}"]}
    sent = json.loads(request.body(a_route(body=template), run))
    assert sent == {"one": one, "two": [two]}


def test_a_value_that_looks_like_a_placeholder_is_not_one() -> None:
    run = a_run(params={"one": "{params.two}", "two": "secret"})
    template = {"one": "{params.one}"}
    assert json.loads(request.body(a_route(body=template), run)) == {"one": "{params.two}"}
    path = request.path(a_route(path="/{params.one}"), run)
    assert path == "/%7Bparams.two%7D"


# --- the path -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("web", "web"),
        ("a/b", "a%2Fb"),
        ("../admin", "..%2Fadmin"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("a b?c#d%2f", "a%20b%3Fc%23d%252f"),
        ("é", "%C3%A9"),
        (7, "7"),
        (True, "true"),
        ("", ""),
    ],
)
def test_a_param_is_one_segment_of_the_path(value: object, segment: str) -> None:
    route = a_route(path="/api/{params.x}/restart")
    assert request.path(route, a_run(params={"x": value})) == f"/api/{segment}/restart"


@given(st.text(max_size=30), st.text(max_size=30))
@example("/", "\\")
@example("..", "%2F")
def test_no_param_adds_or_removes_a_segment(one: str, two: str) -> None:
    route = a_route(path="/api/{params.one}/x/{params.two}")
    path = request.path(route, a_run(params={"one": one, "two": two}))
    assert path.isascii()
    assert not set(path) & set("?#\\ \r\n")
    assert [unquote(part) for part in path.split("/")] == ["", "api", one, "x", two]
    assert urlsplit(f"http://host{path}").path == path


@given(st.text(st.characters(codec="utf-8", exclude_characters="{}"), max_size=20))
def test_a_configured_path_is_sent_as_bytes_that_a_url_may_hold(text: str) -> None:
    path = request.path(a_route(path=f"/café/{text}"), a_run())
    assert path.isascii()
    assert path.startswith("/caf%C3%A9/")


def test_what_a_configured_path_has_encoded_already_stays() -> None:
    path = "/a%20b/x:y@z/~v1;q=1,2/(it's)!$&+*"
    assert request.path(a_route(path=path), a_run()) == path


@pytest.mark.parametrize(
    "value", [".", "..", "../../admin", "a/../x", "..\\x", "..;v=1", "..\0", " ..", "", None]
)
def test_a_step_or_nothing_is_no_name_for_a_segment(value: str | None) -> None:
    route = a_route(path="/api/{params.x}/restart")
    with pytest.raises(ParamsError) as refused:
        request.refuse_steps(route, a_run(params={"x": value, "y": "fine"}))
    assert refused.value.field == "x"
    request.refuse_steps(route, a_run(params={"x": "...", "y": value}))
    request.refuse_steps(a_route(), a_run(params={"x": value}))


@pytest.mark.parametrize("value", ["web", "a/b", "registry.acme.io/web", "a..b", "..a", "v1.2;q"])
def test_a_name_may_hold_slashes_and_dots(value: str) -> None:
    route, run = a_route(path="/api/{params.x}"), a_run(params={"x": value})
    request.refuse_steps(route, run)
    assert request.path(route, run) == f"/api/{quote(value, safe='')}"


@pytest.mark.parametrize("field", ["actor.user_name", "action_id"])
def test_what_slack_names_is_held_to_it_too(field: str) -> None:
    route = a_route(path=f"/api/{{{field}}}/restart")
    request.refuse_steps(route, a_run(user_name="ada", action_id="deploy"))
    with pytest.raises(ParamsError):
        request.refuse_steps(route, a_run(user_name="..", action_id=".."))


def test_what_became_of_a_run_is_asked_below_the_path_it_went_to() -> None:
    run = a_run(params={"x": "a/b"})
    assert request.check_path(a_route(path="/api/{params.x}/"), run) == (
        f"/api/a%2Fb/operations/{run.id}"
    )


# --- the statement of who asked -------------------------------------------------------------


def test_the_statement_is_bound_to_this_very_request_for_a_minute() -> None:
    claims = request.claims(
        a_run(),
        issuer="tidegate",
        audience="cluster",
        groups=frozenset({"S2", "S1"}),
        method="POST",
        path="/api/v1/deploy",
        body=b"{}",
        now=NOW + 0.9,
        nonce="n1",
    )
    assert claims == {
        "iss": "tidegate",
        "aud": "cluster",
        "sub": "slack:T0TEAM:U0ADA",
        "groups": ["S1", "S2"],
        "run": a_run().id,
        "action": "deploy",
        "jti": "n1",
        "iat": int(NOW),
        "exp": int(NOW) + 60,
        "method": "POST",
        "path": "/api/v1/deploy",
        "body_sha256": hashlib.sha256(b"{}").hexdigest(),
    }


# --- where long work is followed ------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "base", "path"),
    [
        ("/api/v1/operations/1", "", "/api/v1/operations/1"),
        ("/prod/api/operations/1", "/prod", "/api/operations/1"),
        ("/api/operations/1", "/prod", "/api/operations/1"),
        ("/production/operations/1", "/prod", "/production/operations/1"),
        ("/operations/a%20b", "", "/operations/a%20b"),
        ("/operations/a:b@c", "", "/operations/a:b@c"),
        ("/operations/...", "", "/operations/..."),
    ],
)
def test_a_path_below_the_base_is_followed(location: str, base: str, path: str) -> None:
    assert request.safe_location(location, base_path=base) == path


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "operations/1",
        "http://evil/operations/1",
        "https://evil/operations/1",
        "//evil/operations/1",
        "///evil",
        "/\\evil",
        "\\\\evil",
        "/%5Cevil",
        "/%2Fevil",
        "/a//b",
        "/a%2Fb",
        "/a%2fb",
        "/../admin",
        "/operations/..",
        "/operations/./1",
        "/operations/%2e%2e/admin",
        "/operations/.%2E/admin",
        "/operations/%2E",
        "/operations?x=1",
        "/operations#x",
        "/operations/a b",
        "/operations/\r\nX: y",
        "/operations/é",
        "/operations/1\n",
        "/" + "a" * 2001,
        "javascript:alert(1)",
    ],
)
def test_anything_else_is_not_followed(location: str | None) -> None:
    assert request.safe_location(location, base_path="") is None
    assert request.safe_location(location, base_path="/prod") is None


def test_the_base_alone_does_not_lead_out_of_itself() -> None:
    assert request.safe_location("/prod//evil", base_path="/prod") is None
    assert request.safe_location("/prod/../x", base_path="/prod") is None
    assert request.safe_location("/prod/", base_path="/prod") == "/"


PIECES = st.sampled_from(
    [
        "/",
        "..",
        ".",
        "%2e",
        "%2F",
        "%5c",
        "\\",
        "a",
        "prod",
        ":",
        "@",
        "evil.com",
        "http:",
        "?",
        "#",
    ]
)


LOCATIONS = st.lists(PIECES, max_size=8).map("".join)


@given(
    LOCATIONS | LOCATIONS.map("/{}".format) | st.text(max_size=40), st.sampled_from(["", "/prod"])
)
def test_no_location_leads_out_of_the_base(location: str, base: str) -> None:
    path = request.safe_location(location, base_path=base)
    if path is None:
        return
    url = f"http://service.internal:8080{base}{path}"
    for read in (urlsplit(url), urlsplit(urljoin(f"http://service.internal:8080{base}/", url))):
        assert (read.scheme, read.netloc) == ("http", "service.internal:8080")
        assert (read.query, read.fragment) == ("", "")
        decoded = unquote(read.path)
        assert posixpath.normpath(decoded) == (decoded.rstrip("/") or "/")
        assert decoded.startswith(f"{base}/")


def test_a_run_without_a_channel_has_a_body_too() -> None:
    run = a_run(channel_id=None, params={"n": 10**17, "b": True})
    sent = json.loads(request.body(a_route(), run))
    assert sent["channel_id"] is None
    assert sent["params"] == {"n": 10**17, "b": True}
