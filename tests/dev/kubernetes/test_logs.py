"""The lines that containers wrote, from where and as far as somebody wants them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.dev.kubernetes.api_client import PODS, ApiClient
from tidegate_dev.kubernetes import KubernetesFarEnd, resources
from tidegate_dev.kubernetes.logs import MAX_LINES

START = 1_795_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cluster(clock: Clock) -> AsyncIterator[KubernetesFarEnd]:
    async with KubernetesFarEnd(controlled=False, now=clock) as cluster:
        add_pod(cluster, "web-1", "web")
        add_pod(cluster, "pair-1", "web", "proxy")
        for number in range(5):
            clock.now = START + number
            cluster.logs.append("staging", "web-1", "web", f"line {number}")
        yield cluster


def add_pod(cluster: KubernetesFarEnd, name: str, *containers: str, **status: Any) -> None:
    pod = {
        "metadata": {"name": name, "namespace": "staging"},
        "spec": {"containers": [{"name": each} for each in containers]},
        "status": status,
    }
    cluster.store.create(resources.PODS, pod)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "line 0\nline 1\nline 2\nline 3\nline 4\n"),
        ({"tailLines": "2"}, "line 3\nline 4\n"),
        ({"tailLines": "0"}, ""),
        ({"sinceSeconds": "1"}, "line 3\nline 4\n"),
        ({"sinceTime": "2026-11-18T11:06:43Z"}, "line 3\nline 4\n"),
        ({"sinceSeconds": "1", "tailLines": "1"}, "line 4\n"),
        ({"limitBytes": "10"}, "line 0\nlin"),
        (
            {"timestamps": "true", "tailLines": "1"},
            "2026-11-18T11:06:44.000000000Z line 4\n",
        ),
        ({"container": "web", "tailLines": "1"}, "line 4\n"),
    ],
)
async def test_as_much_is_read_as_is_wanted(
    api: ApiClient, params: dict[str, str], text: str
) -> None:
    answer = await api.get(f"{PODS}/web-1/log", **params)
    assert (answer.code, answer.text) == (200, text)


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("nobody", {}, 'pods "nobody" not found'),
        ("web-1", {"container": "x"}, "container x is not valid for pod web-1"),
        ("pair-1", {}, "a container name must be specified for pod pair-1, choose one of:"),
        ("web-1", {"previous": "true"}, 'previous terminated container "web" in pod "web-1" not'),
        ("web-1", {"tailLines": "-1"}, "strconv.ParseInt"),
        ("web-1", {"sinceTime": "yesterday"}, "parsing time"),
    ],
)
async def test_what_cannot_be_read_is_refused(
    api: ApiClient, path: str, params: dict[str, str], message: str
) -> None:
    answer = await api.get(f"{PODS}/{path}/log", **params)
    assert answer.code in (400, 404)
    assert message in answer.message


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ContainerCreating", "is waiting to start: ContainerCreating"),
        ("ImagePullBackOff", "is waiting to start: trying and failing to pull image"),
    ],
)
async def test_a_container_that_waits_has_no_lines(
    cluster: KubernetesFarEnd, api: ApiClient, reason: str, words: str
) -> None:
    statuses = [{"name": "web", "state": {"waiting": {"reason": reason}}}]
    add_pod(cluster, "web-2", "web", containerStatuses=statuses)
    answer = await api.get(f"{PODS}/web-2/log")
    assert (answer.code, words in answer.message) == (400, True)


async def test_the_lines_before_a_restart_are_the_previous_ones(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    cluster.logs.restart("staging", "web-1", "web")
    cluster.logs.append("staging", "web-1", "web", "again")
    assert (await api.get(f"{PODS}/web-1/log")).text == "again\n"
    previous = await api.get(f"{PODS}/web-1/log", previous="true", tailLines="1")
    assert previous.text == "line 4\n"


async def test_who_follows_gets_each_line_once_and_the_end_with_the_pod(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    async with api.session.get(
        f"{api.url}{PODS}/web-1/log",
        params={"follow": "true", "tailLines": "1"},
        headers=api.authorization,
    ) as response:
        assert await response.content.readline() == b"line 4\n"
        for number in range(5, 8):
            cluster.logs.append("staging", "web-1", "web", f"line {number}")
        lines = [await response.content.readline() for _ in range(3)]
        cluster.store.delete(resources.PODS, "staging", "web-1")
        cluster.logs.forget("staging", "web-1")
        rest = await asyncio.wait_for(response.content.read(), 5)
    assert (lines, rest) == ([b"line 5\n", b"line 6\n", b"line 7\n"], b"")


async def test_logs_are_bounded_and_a_follower_still_goes_on(cluster: KubernetesFarEnd) -> None:
    key = ("staging", "web-1", "web")
    place = cluster.logs.count(*key)
    for number in range(MAX_LINES + 10):
        cluster.logs.append(*key, str(number))
    assert len(cluster.logs.read(*key)) == MAX_LINES
    assert cluster.logs.since(*key, place)[-1].text == str(MAX_LINES + 9)
    place = cluster.logs.count(*key)
    cluster.logs.append(*key, "last")
    assert [line.text for line in cluster.logs.since(*key, place)] == ["last"]


async def test_reading_logs_needs_the_subresource(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    token = cluster.add_service_account_token("staging", "default")
    refused = await api.as_token(token).get(f"{PODS}/web-1/log")
    assert 'cannot get resource "pods/log" in API group ""' in refused.message
