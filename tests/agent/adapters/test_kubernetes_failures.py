"""What a client makes of an API server that is away, slow, busy, broken or talks nonsense."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.agent.adapters.scripted import Scripted, answer, failure, scripted
from tidegate_agent.adapters.kubernetes import Credentials, CredentialsError, KubernetesClient
from tidegate_agent.adapters.kubernetes.proof import FixedProof
from tidegate_agent.core.access import Review
from tidegate_agent.core.answer import of_error
from tidegate_agent.core.kinds import CONFIG_MAP, DEPLOYMENT
from tidegate_agent.errors import (
    AmbiguousError,
    BusyError,
    ForbiddenError,
    InputError,
    KubernetesError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)
from tidegate_agent.ports import PatchType

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}


@dataclass(slots=True)
class Stand:
    """A client of a scripted server, and how long it has waited between tries."""

    server: Scripted
    client: KubernetesClient
    waits: list[float] = field(default_factory=list)


@asynccontextmanager
async def stand(*answers: bytes | float, **options: bool) -> AsyncIterator[Stand]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with scripted(*answers, **options) as server:
        client = KubernetesClient(Credentials(server=server.url), sleep=sleep, timeout_seconds=0.5)
        try:
            yield Stand(server, client, waits)
        finally:
            await client.close()


async def _patch(client: KubernetesClient, *, dry_run: bool = False) -> None:
    await client.patch(
        DEPLOYMENT, "staging", "web", {"spec": {}}, type=PatchType.MERGE, dry_run=dry_run
    )


async def test_a_change_that_nobody_listens_for_was_not_made() -> None:
    async with stand() as at:
        address = at.server.url
    client = KubernetesClient(Credentials(server=address), sleep=asyncio.sleep)
    with pytest.raises(UnreachableError):
        await _patch(client)
    await client.close()


async def test_a_change_whose_connection_breaks_after_it_was_sent_is_in_doubt() -> None:
    async with stand(b"") as at:
        with pytest.raises(AmbiguousError):
            await _patch(at.client)
        assert len(at.server.asked) == 1


async def test_a_change_that_is_not_answered_in_time_is_in_doubt_and_not_sent_again() -> None:
    async with stand(2.0) as at:
        with pytest.raises(AmbiguousError, match=r"0\.5 s"):
            await _patch(at.client)
        assert len(at.server.asked) == 1


async def test_a_change_whose_answer_breaks_off_is_in_doubt() -> None:
    async with stand(answer(200, CONFIG)[:-5]) as at:
        with pytest.raises(AmbiguousError):
            await _patch(at.client)


async def test_a_change_whose_answer_is_no_object_is_in_doubt() -> None:
    async with stand(answer(200, b"<html>")) as at:
        with pytest.raises(AmbiguousError):
            await _patch(at.client)


@pytest.mark.parametrize("code", [500, 502, 504])
async def test_a_change_that_the_server_fails_at_is_in_doubt(code: int) -> None:
    async with stand(answer(code, failure(code, "InternalError"))) as at:
        with pytest.raises(AmbiguousError) as caught:
            await _patch(at.client)
        assert caught.value.code == code


async def test_a_dry_run_leaves_no_doubt() -> None:
    async with stand(b"") as at:
        with pytest.raises(UnreachableError):
            await _patch(at.client, dry_run=True)
        assert "dryRun=All" in at.server.asked[0]


async def test_a_busy_server_is_told_with_the_time_to_wait_and_a_change_is_not_repeated() -> None:
    async with stand(answer(429, failure(429, "TooManyRequests"), Retry_After="7")) as at:
        with pytest.raises(BusyError) as caught:
            await _patch(at.client)
        assert (caught.value.retry_after, caught.value.code) == (7.0, 429)
        assert at.waits == []


async def test_a_read_waits_as_long_as_the_server_asks() -> None:
    busy = answer(429, failure(429), Retry_After="2")
    async with stand(busy, answer(200, CONFIG)) as at:
        assert (await at.client.get(CONFIG_MAP, "staging", "one"))["kind"] == "ConfigMap"
        assert at.waits == [2.0]


async def test_a_read_is_not_kept_waiting_for_long() -> None:
    async with stand(answer(503, failure(503, retryAfterSeconds=30))) as at:
        with pytest.raises(BusyError) as caught:
            await at.client.get(CONFIG_MAP, "staging", "one")
        assert caught.value.retry_after == 30.0
        assert at.waits == []


async def test_a_read_whose_connection_breaks_is_tried_again() -> None:
    async with stand(b"", answer(200, CONFIG)[:-3], answer(200, CONFIG)) as at:
        await at.client.get(CONFIG_MAP, "staging", "one")
        assert len(at.server.asked) == 3


async def test_a_read_is_given_up_after_three_tries() -> None:
    async with stand() as at:
        with pytest.raises(UnreachableError):
            await at.client.get(CONFIG_MAP, "staging", "one")
        assert len(at.server.asked) == 3


async def test_a_failed_read_is_no_doubt() -> None:
    async with stand(answer(500, failure(500))) as at:
        with pytest.raises(KubernetesError) as caught:
            await at.client.get(CONFIG_MAP, "staging", "one")
        assert not isinstance(caught.value, AmbiguousError)


async def test_a_review_is_asked_again_like_a_read() -> None:
    async with stand(b"", answer(201, {"status": {"allowed": True}})) as at:
        review = Review(
            user="tidegate",
            groups=("tidegate:deployers",),
            extra={"tidegate.dev/person": ("slack:T0:U0",)},
            verb="patch",
            group="apps",
            resource="deployments",
            namespace="staging",
        )
        assert await at.client.allowed(review)
        assert '"group":"apps"' in at.server.asked[1]


@pytest.mark.parametrize("said", [{}, {"status": {}}, {"status": {"allowed": "true"}}])
async def test_a_review_that_does_not_say_yes_says_no(said: dict[str, object]) -> None:
    async with stand(answer(201, said)) as at:
        review = Review(
            user="u", groups=(), extra={}, verb="get", group="", resource="pods", namespace="n"
        )
        assert not await at.client.allowed(review)


async def test_a_kept_connection_that_was_closed_does_not_fail_a_read() -> None:
    async with stand(answer(200, CONFIG), answer(200, CONFIG), warns=False) as at:
        await at.client.get(CONFIG_MAP, "staging", "one")
        await asyncio.sleep(0.01)
        await at.client.get(CONFIG_MAP, "staging", "one")


async def test_reads_share_a_connection_and_changes_do_not() -> None:
    answers = [answer(200, CONFIG)] * 4
    async with stand(*answers, keeps_open=True) as at:
        for _ in range(2):
            await at.client.get(CONFIG_MAP, "staging", "one")
            await _patch(at.client)
        assert at.server.connections == [1, 2, 1, 3]


async def test_a_redirect_is_not_followed() -> None:
    async with stand(answer(302, {}, Location="http://127.0.0.1:9/elsewhere")) as at:
        with pytest.raises(KubernetesError) as caught:
            await at.client.get(CONFIG_MAP, "staging", "one")
        assert caught.value.code == 302
        assert len(at.server.asked) == 1


def _endless() -> bytes:
    head = answer(200, b"x")[:-1].replace(b"Length: 1\r\n", b"Length: 99999999\r\n")
    return head + b"x" * 17_000_000


async def test_an_answer_that_is_too_long_is_not_read_to_its_end_and_not_asked_for_again() -> None:
    async with stand(*[_endless()] * 3) as at:
        with pytest.raises(UnavailableError, match="more than the agent reads"):
            await at.client.get(CONFIG_MAP, "staging", "one")
        assert (len(at.server.asked), at.waits) == (1, [])


async def test_a_page_that_is_too_long_is_asked_for_in_smaller_ones() -> None:
    first = {"items": [CONFIG], "metadata": {"continue": "token", "resourceVersion": "7"}}
    last = {"items": [CONFIG], "metadata": {"resourceVersion": "7"}}
    async with stand(_endless(), answer(200, first), answer(200, last)) as at:
        assert len((await at.client.list(CONFIG_MAP, "staging")).items) == 2
        limits = [re.findall(r"limit=(\d+)", head) for head in at.server.asked]
        assert limits == [["250"], ["50"], ["50"]]
        assert "continue=token" in at.server.asked[2]


async def test_an_object_that_is_too_long_to_be_listed_is_told_as_that() -> None:
    async with stand(*[_endless()] * 9) as at:
        with pytest.raises(UnavailableError, match="more than the agent reads"):
            await at.client.list(CONFIG_MAP, "staging")
        assert "limit=1&" in at.server.asked[-1].replace(" HTTP", "& HTTP")
        assert len(at.server.asked) == 5


async def test_pages_without_end_are_not_followed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate_agent.adapters.kubernetes.client.MAX_PAGES", 5)
    page = answer(200, {"items": [], "metadata": {"continue": "on"}})
    async with stand(*[page] * 9) as at:
        with pytest.raises(UnavailableError, match="more than the agent reads"):
            await at.client.list(CONFIG_MAP, "staging")
        assert len(at.server.asked) == 5


async def test_pages_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate_agent.adapters.kubernetes.client.MAX_LIST_BYTES", 2_000)
    page = answer(200, {"items": ["x" * 900], "metadata": {"continue": "on"}})
    async with stand(*[page] * 9) as at:
        with pytest.raises(UnavailableError):
            await at.client.list(CONFIG_MAP, "staging")
        assert len(at.server.asked) == 3


async def test_a_log_is_cut_where_it_was_said_whatever_the_server_sends() -> None:
    async with stand(answer(200, b"line\n" * 10_000)) as at:
        lines = await at.client.logs("staging", "web-1", container="web", tail=9, limit_bytes=100)
        assert len(lines) == 100
        assert "limitBytes=100" in at.server.asked[0]
        assert "tailLines=9" in at.server.asked[0]


async def test_an_admission_policy_that_says_no_names_no_missing_right() -> None:
    message = "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'fence' denied it"
    async with stand(answer(403, failure(403, "Forbidden", message))) as at:
        with pytest.raises(ForbiddenError) as caught:
            await _patch(at.client)
        assert (caught.value.verb, caught.value.user) == ("", "")
        assert "fence" in caught.value.message


async def test_a_refusal_without_a_status_object_counts_by_its_code() -> None:
    async with stand(answer(403, b"\xff<html>nginx</html>")) as at:
        with pytest.raises(ForbiddenError, match="403"):
            await _patch(at.client)


async def test_pages_that_the_server_no_longer_remembers_are_asked_for_at_once_and_anew() -> None:
    first = {"items": [CONFIG], "metadata": {"continue": "token", "resourceVersion": "7"}}
    whole = {"items": [CONFIG, CONFIG], "metadata": {"resourceVersion": "9"}}
    gone = answer(410, failure(410, "Expired"))
    async with stand(answer(200, first), gone, answer(200, whole)) as at:
        listed = await at.client.list(CONFIG_MAP, "staging")
        assert (len(listed.items), listed.resource_version) == (2, "9")
        assert "limit=" in at.server.asked[0]
        assert "continue=token" in at.server.asked[1]
        assert "limit=" not in at.server.asked[2]


async def test_what_the_server_no_longer_remembers_at_all_may_be_asked_later() -> None:
    gone = answer(410, failure(410, "Expired"))
    async with stand(gone, gone, gone, gone) as at:
        for ask in (
            lambda: at.client.list(CONFIG_MAP, "staging"),
            lambda: at.client.get(CONFIG_MAP, "staging", "one"),
            lambda: _patch(at.client),
        ):
            with pytest.raises(BusyError) as caught:
                await ask()
            assert of_error(caught.value).status == 503


async def test_a_server_that_waited_for_too_long_may_be_asked_later() -> None:
    async with stand(*[answer(408, failure(408, "Timeout"))] * 4) as at:
        for ask in (lambda: at.client.get(CONFIG_MAP, "staging", "a"), lambda: _patch(at.client)):
            with pytest.raises(BusyError) as caught:
                await ask()
            assert of_error(caught.value).status == 503


@pytest.mark.parametrize("said", [{}, {"items": {}, "metadata": {}}, {"items": [], "metadata": []}])
async def test_a_list_that_is_none_is_not_taken_for_an_empty_one(said: object) -> None:
    async with stand(answer(200, said)) as at:
        with pytest.raises(UnreachableError):
            await at.client.list(CONFIG_MAP, "staging")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a%2fb", "x" * 254])
async def test_a_name_that_would_lead_elsewhere_is_never_sent(name: str) -> None:
    async with stand(answer(200, CONFIG)) as at:
        with pytest.raises(InputError):
            await at.client.get(CONFIG_MAP, "staging", name)
        with pytest.raises(InputError):
            await at.client.list(CONFIG_MAP, name)
        assert at.server.asked == []


async def test_an_unknown_token_is_read_anew_once_and_then_told(tmp_path: object) -> None:
    async with scripted(*[answer(401, failure(401, "Unauthorized", "Unauthorized"))] * 4) as server:
        proof = Rotating(["old", "new", "newer"])
        client = KubernetesClient(Credentials(server=server.url, proof=proof), sleep=asyncio.sleep)
        with pytest.raises(UnauthorizedError):
            await _patch(client)
        assert [_bearer(head) for head in server.asked] == ["old", "new"]
        await client.close()


async def test_a_fixed_token_that_is_not_known_is_not_shown_twice() -> None:
    async with scripted(answer(401, failure(401))) as server:
        credentials = Credentials(server=server.url, proof=FixedProof("Bearer one"))
        client = KubernetesClient(credentials, sleep=asyncio.sleep)
        with pytest.raises(UnauthorizedError):
            await _patch(client)
        assert len(server.asked) == 1
        await client.close()


async def test_credentials_that_cannot_be_had_are_not_asked_for_again_by_the_same_read() -> None:
    async with scripted() as server:
        proof = Failing()
        client = KubernetesClient(Credentials(server=server.url, proof=proof), sleep=asyncio.sleep)
        with pytest.raises(UnreachableError, match="no token today"):
            await client.get(CONFIG_MAP, "staging", "one")
        assert (proof.asked, server.asked) == (1, [])
        await client.close()


async def test_credentials_that_do_not_come_are_waited_for_no_longer_than_an_answer() -> None:
    async with scripted() as server:
        credentials = Credentials(server=server.url, proof=Hanging())
        client = KubernetesClient(credentials, sleep=asyncio.sleep, timeout_seconds=0.1)
        async with asyncio.timeout(2):
            with pytest.raises(UnreachableError, match="no credentials"):
                await client.get(CONFIG_MAP, "staging", "one")
            with pytest.raises(UnreachableError, match="no credentials"):
                await _patch(client)
        await client.close()


async def test_credentials_and_answer_have_to_come_within_one_time() -> None:
    async with scripted(5.0) as server:
        credentials = Credentials(server=server.url, proof=Hanging(0.4))
        client = KubernetesClient(credentials, sleep=asyncio.sleep, timeout_seconds=0.5)
        begun = time.monotonic()
        with pytest.raises(AmbiguousError):
            await _patch(client)
        assert time.monotonic() - begun < 0.8
        await client.close()


async def test_each_request_is_told_with_its_status() -> None:
    told: list[tuple[str, str, int]] = []
    observe: Callable[[str, str, int, float], None] = lambda *seen: told.append(seen[:3])  # noqa: E731
    async with scripted(answer(404, failure(404)), answer(200, CONFIG)) as server:
        client = KubernetesClient(
            Credentials(server=server.url), sleep=asyncio.sleep, observe=observe
        )
        with pytest.raises(KubernetesError):
            await client.get(CONFIG_MAP, "staging", "none")
        await _patch(client)
        await client.close()
    assert told == [("GET", "configmaps", 404), ("PATCH", "deployments", 200)]


class Rotating:
    """A token that is another one each time it is read."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens

    async def header(self) -> str | None:
        return f"Bearer {self._tokens.pop(0)}"

    def refused(self) -> bool:
        return True


class Failing:
    """A token that cannot be had."""

    def __init__(self) -> None:
        self.asked = 0

    async def header(self) -> str | None:
        self.asked += 1
        raise CredentialsError("no token today")

    def refused(self) -> bool:
        return True


class Hanging:
    """A token that comes late."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds

    async def header(self) -> str | None:
        await asyncio.sleep(self._seconds)
        return "Bearer late"

    def refused(self) -> bool:
        return False


def _bearer(head: str) -> str:
    return next(
        line.split("Bearer ")[1] for line in head.split("\r\n") if line.startswith("Authorization")
    )
