"""The journey of a share, put together from what the gateway, S3 and Slack each tell."""

import json
from typing import Any

import pytest

from tests.dev.test_journey import told, values
from tidegate_dev import share_steps
from tidegate_dev.journey import Journey
from tidegate_dev.journeys import Journeys
from tidegate_dev.masking import Masking
from tidegate_dev.slack.deliveries import Delivery, signed_headers
from tidegate_dev.slack.payloads import form

KEY = "q3/report.pdf"
URL = (
    "http://127.0.0.1:8703/acme-reports/q3/report.pdf?X-Amz-Credential=ASIA1%2Fs3"
    "&X-Amz-Expires=3600&X-Amz-Security-Token=to.ken&X-Amz-Signature=abc123"
)
LINK = [{"type": "rich_text", "elements": [{"elements": [{"type": "link", "url": URL}]}]}]


class Scene:
    """One share, told by hand."""

    def __init__(self, mode: str, *, key: str = KEY, run: str = "RUN1") -> None:
        self.changes: list[str] = []
        self.journeys = Journeys(
            masking=Masking([]), on_change=lambda journey: self.changes.append(journey.id)
        )
        self.mode, self.key = mode, key
        self.journey = self.click("d1", run)

    def click(self, name: str, run: str) -> Journey:
        value = json.dumps({"bucket": "reports", "key": self.key})
        body = form({"actions": [{"action_id": "s3", "value": value}]})
        delivery = Delivery(
            id=name,
            kind="block_actions",
            path="/slack/actions",
            body=body,
            user="U0ADA",
            channel="C0REPORTS",
            message_ts="1.000000",
            title="Share it",
            headers=signed_headers(body, secret="s", timestamp=1000),
        )
        self.journeys.delivered(delivery)
        delivery.status, delivery.http_status, delivery.request = "acked", 200, name
        self.journeys.delivered(delivery)
        line = {"event": "answered", "request": name, "status": 200, "outcome": "recorded"}
        self.journeys.logged({**line, "action": "share", "run": run})
        found = self.journeys.get(name)
        assert found is not None
        return found

    def log(self, event: str, **fields: Any) -> None:
        self.journeys.logged({"event": event, "run": "RUN1", **fields})

    def sharing(self, attempt: int = 1) -> None:
        self.log("sharing", attempt=attempt, mode=self.mode)

    def outcome(self, state: str, reason: str = "") -> None:
        self.log("outcome", state=state, reason=reason, status=None, ms=20.0)

    def s3(self, operation: str, **more: Any) -> None:
        request = {"operation": operation, "key": self.key, "status": 200, "code": ""}
        facts = {"size": 1338, "type": "application/pdf", "presigned": False}
        self.journeys.served({**request, **facts, **more})

    def slack(self, method: str, *, error: str = "", file: str | None = None, **asked: Any) -> None:
        answer = {"status": 200, "error": error or None, "file": file}
        self.journeys.called(method, {"arguments": asked, **answer})

    def file(self, state: str, *, file: str = "F1", **more: Any) -> None:
        self.journeys.file_changed({"id": file, "state": state, "size": 1338, "type": "", **more})

    def image(self, name: str, file: str) -> None:
        """One of a gallery's images is sent to Slack."""
        self.s3("HeadObject", key=f"{self.key}{name}", type="image/png")
        self.s3("GetObject", key=f"{self.key}{name}", type="image/png")
        self.slack("files.getUploadURLExternal", file=file, filename=name, length="1338")
        self.file("uploaded", file=file)

    def upload(self) -> None:
        """The bytes are with Slack, which was asked to show them."""
        self.sharing()
        self.s3("HeadObject")
        self.slack("files.getUploadURLExternal", file="F1", filename="report.pdf", length="1338")
        self.s3("GetObject")
        self.file("uploaded")
        self.slack("files.completeUploadExternal", files=[{"id": "F1"}])


def test_a_share_begins_with_its_own_steps() -> None:
    scene = Scene("upload")
    assert scene.journey.title == "Share it · q3/report.pdf"
    assert told(scene.journey)[4:] == [
        ("acked", "done"),
        ("checked", "active"),
        ("sent", "waiting"),
        ("placed", "waiting"),
        ("answered", "waiting"),
        ("told", "waiting"),
    ]


def test_an_upload_is_followed_from_s3_into_the_channel() -> None:
    scene = Scene("upload")
    scene.upload()
    found = values(scene.journey)
    assert (found["checked"], found["sent"]) == ("1.3 KB", "1.3 KB")
    assert dict(told(scene.journey))["placed"] == "active"
    scene.file("ready", type="PDF", shared=True)
    scene.outcome("succeeded")
    scene.log("told", state="succeeded", method="chat.update")
    assert all(status == "done" for _, status in told(scene.journey))
    found = values(scene.journey)
    assert found["checked"] == "PDF · 1.3 KB"
    assert found["placed"] == "the file is in the channel"
    assert found["answered"] == "as a file, in this channel"
    assert scene.journey.is_over
    full = scene.journeys.full(scene.journey)
    assert [one["operation"] for one in full["s3"]] == ["HeadObject", "GetObject"]
    assert [one["method"] for one in full["slack_calls"]] == [
        "files.getUploadURLExternal",
        "files.completeUploadExternal",
    ]


def test_downloads_that_broke_off_show_as_pieces() -> None:
    scene = Scene("upload")
    scene.sharing()
    scene.slack("files.getUploadURLExternal", file="F1", filename="report.pdf", length=1338)
    scene.s3("GetObject", status=206, range="bytes=0-65535")
    for rest in ("bytes=400-", "bytes=800-"):
        scene.s3("GetObject", status=206, range=rest)
    scene.file("uploaded")
    assert values(scene.journey)["sent"] == "1.3 KB, in 3 pieces"


def test_a_download_that_is_begun_anew_is_in_one_piece() -> None:
    scene = Scene("upload")
    scene.sharing()
    for _ in range(3):
        scene.s3("GetObject")
    scene.slack("files.getUploadURLExternal", file="F1", filename="report.pdf", length=1338)
    scene.file("uploaded")
    assert values(scene.journey)["sent"] == "1.3 KB"


def test_an_image_is_placed_by_the_message_that_shows_it() -> None:
    scene = Scene("image")
    scene.upload()
    scene.file("ready", type="PNG", shared=False)
    assert values(scene.journey)["placed"] == "Slack has it"
    scene.slack("chat.postMessage", metadata={"event_payload": {"run": "RUN1.0"}}, blocks=[])
    assert values(scene.journey)["placed"] == "the message is in the channel"


def test_a_gallery_is_told_by_how_many_of_its_images_are_where() -> None:
    scene = Scene("gallery", key="q3/charts/")
    assert scene.journey.title == "Share it · q3/charts/"
    scene.sharing()
    assert scene.journey.steps["sent"].label == "streamed S3 → Slack"
    scene.s3("ListObjectsV2", key="")
    scene.s3("HeadObject", key="q3/charts.csv")
    assert not scene.journey.requests
    scene.image("tide.png", "F1")
    assert values(scene.journey)["checked"] == "1 image"
    scene.s3("HeadObject", key="q3/charts/wind.png")
    scene.slack("files.getUploadURLExternal", file="F2", filename="wind.png", length="1338")
    found = values(scene.journey)
    assert (found["checked"], found["sent"]) == ("2 images", "1 of 2 images")
    scene.slack("files.getUploadURLExternal", file="F9", filename="other.png", length="1338")
    scene.file("uploaded", file="F9")
    assert values(scene.journey)["sent"] == "1 of 2 images"
    scene.file("uploaded", file="F2")
    assert values(scene.journey)["sent"] == "2 images · 2.6 KB"
    scene.slack("files.completeUploadExternal", files=[{"id": "F1"}])
    assert values(scene.journey)["placed"] == "Slack looks at them"
    scene.file("ready", file="F1")
    assert values(scene.journey)["placed"] == "Slack has 1 of 2"
    scene.file("ready", file="F2")
    scene.slack("chat.postMessage", metadata={"event_payload": {"run": "RUN1.0"}}, blocks=[])
    scene.file("ready", file="F2", shared=True)
    assert values(scene.journey)["placed"] == "the message is in the channel"
    scene.outcome("succeeded")
    assert values(scene.journey)["answered"] == "as a gallery, in this channel"


def test_one_image_of_a_gallery_that_is_refused_holds_up_none_of_the_others() -> None:
    scene = Scene("gallery", key="q3/charts/")
    scene.sharing()
    scene.s3("HeadObject", key="q3/charts/broken.png", status=403, code="AccessDenied")
    assert values(scene.journey)["checked"] == "S3 answered 403 AccessDenied"
    scene.s3("HeadObject", key="q3/charts/program.png")
    scene.image("tide.png", "F1")
    assert dict(told(scene.journey))["sent"] == "active"
    scene.slack("files.completeUploadExternal", files=[{"id": "F1"}])
    assert dict(told(scene.journey))["sent"] == "done"
    assert values(scene.journey)["checked"] == "2 images"


def test_a_link_says_how_long_it_works_and_when_it_was_opened() -> None:
    scene = Scene("link")
    scene.sharing()
    scene.s3("HeadObject")
    scene.s3("GetObject", status=206)
    scene.slack(
        "chat.postMessage",
        metadata=json.dumps({"event_payload": {"run": "RUN1.0"}}),
        blocks=json.dumps(LINK),
    )
    scene.outcome("succeeded")
    found = values(scene.journey)
    assert scene.journey.steps["sent"].label == "presigned"
    assert (found["checked"], found["sent"]) == ("PDF · 1.3 KB", "works for 60 minutes")
    scene.s3("GetObject", presigned=True)
    assert values(scene.journey)["opened"] == "once"
    scene.s3("GetObject", presigned=True)
    assert values(scene.journey)["opened"] == "2 times"
    scene.s3("GetObject", presigned=True, status=403, code="AccessDenied")
    assert dict(told(scene.journey))["opened"] == "failed"
    shown = json.dumps([scene.journeys.full(scene.journey), scene.journey.as_json()])
    assert "X-Amz-Expires=3600" in shown
    assert not any(secret in shown for secret in ("abc123", "to.ken", "ASIA1"))


def test_the_message_that_only_tells_how_it_goes_places_nothing() -> None:
    scene = Scene("upload")
    scene.sharing()
    scene.slack("chat.postMessage", metadata={"event_payload": {"run": "RUN1"}}, text="working")
    assert dict(told(scene.journey))["placed"] == "waiting"


def test_a_refusal_stops_at_the_check_in_words() -> None:
    scene = Scene("upload")
    scene.sharing()
    scene.s3("HeadObject")
    scene.outcome("failed", "share_executable")
    assert told(scene.journey)[5:] == [
        ("checked", "failed"),
        ("answered", "failed"),
        ("told", "active"),
    ]
    assert scene.journey.steps["answered"].label == "not shared"
    assert values(scene.journey)["answered"] == "it is a program, whatever its name says"


def test_malware_is_found_when_slack_has_the_bytes_and_nobody_can_see_them() -> None:
    scene = Scene("upload")
    scene.sharing()
    scene.s3("HeadObject")
    scene.slack("files.getUploadURLExternal", file="F1", filename="report.pdf", length="1338")
    scene.file("uploaded")
    scene.outcome("failed", "share_malware")
    assert values(scene.journey)["placed"] == "not completed, so nobody can see it"
    assert values(scene.journey)["answered"] == "the malware scanner found something in it"


def test_a_scanner_that_is_away_is_waited_for() -> None:
    scene = Scene("upload")
    scene.sharing()
    scene.s3("HeadObject")
    scene.outcome("sending", "share_scanner_unreachable")
    words = "the malware scanner does not answer; to be tried again"
    assert values(scene.journey)["checked"] == words


def test_a_file_that_slack_never_shows_is_not_known() -> None:
    scene = Scene("upload")
    scene.upload()
    scene.file("ready", type="PDF", shared=False)
    scene.outcome("unknown", "share_unconfirmed")
    assert values(scene.journey)["placed"] == "Slack has it, and shows it nowhere"
    assert dict(told(scene.journey))["placed"] == "failed"
    assert scene.journey.steps["answered"].label == "not known"


@pytest.mark.parametrize("state", ["queued", "sending"])  # it waits under its lease, or without
def test_what_waits_says_for_what_and_goes_on(state: str) -> None:
    scene = Scene("link")
    scene.sharing()
    scene.s3("HeadObject", status=503, code="SlowDown")
    assert values(scene.journey)["checked"] == "S3 answered 503 SlowDown"
    scene.outcome(state, "share_busy")
    assert values(scene.journey)["checked"] == "S3 answered 503 SlowDown; to be tried again"
    scene.sharing(attempt=2)
    assert values(scene.journey)["checked"] == "attempt 2"
    scene.slack("files.info", error="ratelimited", file="F9")
    assert scene.journey.state == "sending"


def test_what_slack_refuses_is_told_where_it_stands() -> None:
    scene = Scene("upload")
    scene.sharing()
    scene.s3("HeadObject")
    scene.slack("files.getUploadURLExternal", error="file_uploads_disabled", filename="report.pdf")
    assert values(scene.journey)["checked"] == "Slack answered file uploads disabled"


def test_what_is_about_another_object_or_comes_later_is_no_step() -> None:
    scene = Scene("upload")
    scene.sharing()
    before = len(scene.changes)
    scene.s3("HeadObject", key="q3/other.pdf")
    scene.slack("files.getUploadURLExternal", file="F1", filename="other.pdf", length=1)
    scene.file("uploaded")
    scene.s3("GetObject", presigned=True)
    assert len(scene.changes) == before
    scene.outcome("succeeded")
    before = len(scene.changes)
    scene.s3("GetObject")
    scene.slack("files.info", file="F1")
    assert len(scene.changes) == before


def test_a_second_press_claims_nothing_of_the_first() -> None:
    scene = Scene("upload")
    second = scene.click("d2", "RUN1")
    line = {"event": "answered", "request": "d2", "status": 200, "outcome": "joined"}
    scene.journeys.logged({**line, "action": "share", "run": "RUN1"})
    scene.upload()
    assert [key for key, _ in told(second)][-1] == "acked"
    assert not second.requests


def test_a_killed_gateway_is_told_at_the_step_of_the_share() -> None:
    scene = Scene("upload")
    scene.sharing()
    scene.journeys.interrupted()
    assert "killed" in values(scene.journey)["checked"]


def test_the_worker_s_no_leaves_no_step_of_the_share() -> None:
    scene = Scene("upload")
    scene.log("denied", reason="wrong_channel")
    scene.outcome("denied", "wrong_channel")
    assert [key for key, _ in told(scene.journey)][5:] == ["refused", "told"]
    assert scene.journey.state == "denied"


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), ("21", "21 bytes"), (1338, "1.3 KB"), (52_428_800, "50 MB"), (None, "")],
)
def test_sizes_are_said_as_people_say_them(size: object, words: str) -> None:
    assert share_steps.size_words(size) == words


def test_a_command_is_a_share_when_it_names_an_object() -> None:
    journeys = Journeys(masking=Masking([]), on_change=lambda _: None)
    for name, text, key in (("/share", "q3/a.pdf now", "q3/a.pdf"), ("/share", "", None)):
        body = f"command=%2Fshare&text={text.replace('/', '%2F').replace(' ', '+')}".encode()
        headers = signed_headers(body, secret="s", timestamp=1000)
        delivery = Delivery(
            id=f"d{key}",
            kind="command",
            path="/slack/commands",
            body=body,
            user="U0ADA",
            channel="C0OPS",
            title=name,
            headers=headers,
        )
        journeys.delivered(delivery)
        found = journeys.get(delivery.id)
        assert found is not None
        assert found.shares == key
