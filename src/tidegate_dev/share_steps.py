"""The second pass of a journey that shares an object: what S3 and Slack saw of it.

Each far end tells of its own requests. They are the journey's when they are about its object,
or about the file that Slack made of it, while it is under way.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from tidegate_dev.journey import FINAL, Journey, Key, Step

Json = dict[str, Any]
Mode = Literal["link", "image", "gallery", "upload"]

STEPS: Final[tuple[tuple[Key, str], ...]] = (
    ("checked", "checked"),
    ("sent", "brought to Slack"),
    ("placed", "placed in Slack"),
    ("answered", "shared"),
    ("told", "told in Slack"),
)
_WORK: Final[tuple[Key, ...]] = ("checked", "sent", "placed")
_SENT: Final[Mapping[str, str]] = {
    "link": "presigned",
    "image": "streamed S3 → Slack",
    "gallery": "streamed S3 → Slack",
    "upload": "streamed S3 → Slack",
}
_SHARED: Final[Mapping[str, str]] = {
    "link": "as a link, in this channel",
    "image": "as an image, in this channel",
    "gallery": "as a gallery, in this channel",
    "upload": "as a file, in this channel",
}
_REASONS: Final[Mapping[str, str]] = {
    "all_failed": "none of them could be shared",
    "broken_off": "S3 broke off",
    "bucket_not_allowed": "nothing may be shared from that bucket",
    "busy": "S3 asks to wait",
    "changed": "it was changed meanwhile",
    "channel_not_allowed": "not in this channel",
    "empty": "it is empty",
    "executable": "it is a program, whatever its name says",
    "key_not_allowed": "that is no key of an object",
    "key_outside_prefix": "it lies outside what may be shared of the bucket",
    "malware": "the malware scanner found something in it",
    "mode_not_allowed": "not in this way, from this bucket",
    "no_images": "there is no image there",
    "not_an_image": "it is no image that Slack shows",
    "not_found": "there is no such object",
    "not_processed": "Slack has not finished looking at it",
    "scanner_failed": "the malware scanner gave no verdict",
    "scanner_limit": "the malware scanner does not read so much",
    "scanner_unreachable": "the malware scanner does not answer",
    "slack_busy": "Slack asks to wait",
    "slack_unreachable": "Slack cannot be reached",
    "too_large": "it is too large",
    "too_many_keys": "there are too many at once",
    "type_mismatch": "its content is not what its name says",
    "type_not_allowed": "its type may not be shared",
    "unconfirmed": "Slack took it, and was not seen to show it",
    "unreachable": "S3 cannot be reached",
    "untraceable": "Slack does not tell whether it shows it",
    "upload_failed": "Slack did not take the file",
}
SHORT_KIND: Final = 4  # "pdf" and "jpeg" are read as names, "vnd.ms-excel" is not
_UNITS: Final = ("bytes", "KB", "MB", "GB")


def under_way(journey: Journey) -> bool:
    """Whether what the far ends see of its object may be this journey's doing."""
    waits = journey.state in ("waiting", "queued", "sending", "running")
    return journey.shares is not None and waits


def sharing(journey: Journey, line: Mapping[str, Any]) -> None:
    """The gateway begins, or begins again."""
    journey.state = "sending"
    journey.mode = str(line.get("mode") or "")
    sent = journey.step("sent", "")
    sent.label = _SENT.get(journey.mode, sent.label)
    step = _unfinished(journey)
    if step is not None:
        attempt = line.get("attempt")
        step.status = "active"
        step.value = f"attempt {attempt}" if isinstance(attempt, int) and attempt > 1 else ""


def served(journey: Journey, request: Mapping[str, Any]) -> bool:
    """S3 answered a request for the journey's object; return whether that is a step of it."""
    key = request.get("key")
    if not journey.is_about(key):
        return False
    if request.get("presigned"):
        return _opened(journey, request)
    if not under_way(journey):
        return False
    journey.requests.append(dict(request))
    if not request.get("code"):
        journey.objects[str(key)] = int(request.get("size") or 0)
    step = _unfinished(journey)
    if step is None:
        return True
    step.status = "active"
    if request.get("code"):
        step.value = f"S3 answered {request.get('status')} {request['code']}"
    elif journey.is_gallery:
        journey.step("checked", "").value = _images(len(journey.objects))
    elif step.key == "checked":
        step.value = size_words(request.get("size"))
    step.details = {**(step.details or {}), "s3": list(journey.requests)[-10:]}
    return True


def about_file(journey: Journey, arguments: Mapping[str, Any]) -> bool:
    """Whether a call of a `files.` method concerns the file that is made of its object."""
    if not under_way(journey) or journey.shares is None:
        return False
    if "filename" in arguments:
        keys = journey.objects if journey.is_gallery else (journey.shares,)
        names = {key.rpartition("/")[2] for key in keys}
        return journey.mode != "link" and arguments["filename"] in names
    told = json.dumps(arguments.get("files") or arguments.get("file") or "")
    return any(file in told for file in journey.files)


def called(journey: Journey, method: str, call: Mapping[str, Any]) -> None:
    """The gateway called the Web API for this journey's object."""
    arguments, error = call.get("arguments"), call.get("error")
    if not under_way(journey) or not isinstance(arguments, Mapping):
        return
    if error:
        step = _unfinished(journey)
        if step is not None:
            step.value = f"Slack answered {str(error).replace('_', ' ')}"
    elif method == "files.getUploadURLExternal":
        _pass(journey, "checked")
        sent = journey.step("sent", "")
        sent.status = "active"
        sent.value = _progress(journey) or size_words(arguments.get("length"))
    elif method == "files.completeUploadExternal":
        _pass(journey, "checked", "sent")
        placed = journey.step("placed", "placed in Slack")
        placed.status = "active"
        placed.value = "Slack looks at them" if journey.is_gallery else "Slack looks at it"
    elif method == "chat.postMessage" and _is_own(journey, arguments):
        _posted(journey, arguments)
    _note_call(journey, method, call)


def file_changed(journey: Journey, file: Mapping[str, Any]) -> None:
    """Slack's side of a file that the gateway uploads for this journey is different now."""
    if file.get("state") in ("uploaded", "ready"):
        journey.arrived.add(str(file.get("id")))
    if journey.is_gallery:
        _image_changed(journey, file)
        return
    match file.get("state"):
        case "uploaded":
            _pass(journey, "checked", "sent")
            journey.step("sent", "").value = _moved(journey, file)
        case "ready":
            checked = journey.steps.get("checked")
            if checked is not None and file.get("type"):
                checked.value = f"{file['type']} · {size_words(file.get('size'))}"
            journey.step("sent", "").value = _moved(journey, file)
            placed = journey.step("placed", "placed in Slack")
            if file.get("shared"):
                _pass(journey, *_WORK)
                placed.value = "the file is in the channel"
            elif journey.mode == "upload":
                placed.value = "Slack has it, and shows it nowhere"
            else:
                placed.value = "Slack has it"
        case _:
            pass


def _image_changed(journey: Journey, file: Mapping[str, Any]) -> None:
    """One of the images is with Slack, or Slack has looked at it."""
    if len(journey.arrived) == len(journey.objects):
        _pass(journey, "checked", "sent")
    journey.step("sent", "").value = _progress(journey)
    if file.get("state") == "ready":
        journey.ready.add(str(file.get("id")))
        placed = journey.step("placed", "placed in Slack")
        if placed.status != "done":
            placed.value = f"Slack has {len(journey.ready)} of {len(journey.arrived)}"


def _progress(journey: Journey) -> str:
    """Return how many images of a gallery are with Slack; nothing for other shares."""
    if not journey.is_gallery:
        return ""
    here, known = len(journey.arrived), len(journey.objects)
    if here < known:
        return f"{here} of {_images(known)}"
    return f"{_images(here)} · {size_words(sum(journey.objects.values()))}"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def outcome(journey: Journey, state: str, line: Mapping[str, Any]) -> None:
    """The gateway wrote down what came of it."""
    words = reason_words(line.get("reason"))
    step = _unfinished(journey)
    if state not in FINAL:
        if step is not None:
            step.status = "active"
            # What a far end answered says more than what the gateway made of it.
            said = step.value if " answered " in step.value else words
            step.value = f"{said}; to be tried again" if said else "to be tried again"
        return
    if state == "denied":
        return
    answered = journey.step("answered", "shared")
    answered.details, answered.ms = dict(line), _number(line.get("ms"))
    if state == "succeeded":
        _pass(journey, *_WORK)
        answered.status, answered.value = "done", _SHARED.get(journey.mode, "in this channel")
    else:
        _stopped(journey, step, state, words)
    told = journey.step("told", "told in Slack")
    if told.status == "waiting":
        told.status = "active"


def reason_words(reason: object) -> str:
    """Return why a share was refused, or waits, in words for the page."""
    code = str(reason or "").removeprefix("share_")
    return _REASONS.get(code, code.replace("_", " "))


def size_words(size: object) -> str:
    """Return a size as people say it."""
    try:
        amount = float(str(size))
    except ValueError:
        return ""
    unit = 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    digits = 1 if unit and amount < 10 else 0
    return f"{amount:.{digits}f} {_UNITS[unit]}"


def _stopped(journey: Journey, step: Step | None, state: str, words: str) -> None:
    answered = journey.steps["answered"]
    answered.status = "failed"
    if state == "unknown":
        answered.label, answered.value = "not known", words
    else:
        answered.label, answered.value = "not shared", words or state
    if step is None:
        return
    step.status = "failed"
    if step.key == "placed" and journey.arrived and state == "failed" and not step.value:
        step.value = "not completed, so nobody can see it"
    after = _WORK[_WORK.index(step.key) + 1 :]
    journey.drop(*(key for key in after if journey.steps[key].status == "waiting"))


def _is_own(journey: Journey, arguments: Mapping[str, Any]) -> bool:
    """Whether a message shares the object; others only tell how the run is."""
    # Messages of a share are numbered: the run's id, a dot, and which of them it is.
    return journey.run is not None and f"{journey.run}." in json.dumps(arguments.get("metadata"))


def _moved(journey: Journey, file: Mapping[str, Any]) -> str:
    """Return how much went to Slack, and in how many downloads if S3 broke off in between."""
    # Whoever begins anew asks for all of it, and who goes on for the rest.
    rests = sum(_is_rest(one.get("range")) for one in journey.requests if not one["code"])
    pieces = f", in {rests + 1} pieces" if rests else ""
    return size_words(file.get("size")) + pieces


def _is_rest(asked: object) -> bool:
    return isinstance(asked, str) and not asked.startswith("bytes=0-")


def _posted(journey: Journey, arguments: Mapping[str, Any]) -> None:
    """The message that shows the image or the link is posted."""
    _pass(journey, *_WORK)
    journey.steps["placed"].value = "the message is in the channel"
    if journey.mode == "link":
        # It passed, so its content is what S3 says it is.
        journey.steps["checked"].value = _facts(journey.requests[-1] if journey.requests else {})
        journey.steps["sent"].value = _lifetime(arguments)


def _lifetime(arguments: Mapping[str, Any]) -> str:
    """Return how long the posted link works, as it says itself."""
    for url in _urls(arguments.get("blocks")):
        seconds = parse_qs(urlsplit(url).query).get("X-Amz-Expires", [""])[0]
        if seconds.isdigit():
            minutes = int(seconds) // 60
            return f"works for {minutes} minutes" if minutes != 1 else "works for 1 minute"
    return ""


def _urls(value: Any) -> list[str]:
    if isinstance(value, str) and value.startswith(("[", "{")):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    if isinstance(value, list):
        return [url for item in value for url in _urls(item)]
    if isinstance(value, dict):
        own = [value["url"]] if isinstance(value.get("url"), str) else []
        return own + [url for item in value.values() for url in _urls(item)]
    return []


def _opened(journey: Journey, request: Mapping[str, Any]) -> bool:
    """Somebody used the link."""
    if journey.mode != "link" or request.get("operation") != "GetObject":
        return False
    journey.requests.append(dict(request))
    opened = journey.step("opened", "link opened")
    if request.get("code"):
        opened.status, opened.value = "failed", f"S3 answered {request['code']}"
    else:
        journey.openings += 1
        times = "once" if journey.openings == 1 else f"{journey.openings} times"
        opened.status, opened.value = "done", times
    opened.details = {"s3": list(journey.requests)[-10:]}
    return True


def _facts(request: Mapping[str, Any]) -> str:
    kind = str(request.get("type") or "").rpartition("/")[2]
    kind = kind.upper() if len(kind) <= SHORT_KIND else kind
    return " · ".join(filter(None, (kind, size_words(request.get("size")))))


def _note_call(journey: Journey, method: str, call: Mapping[str, Any]) -> None:
    placed = journey.steps.get("placed")
    if placed is not None:
        made = {"method": method, "status": call.get("status"), "error": call.get("error")}
        calls = (placed.details or {}).get("calls", [])
        placed.details = {"calls": [*calls[-9:], made]}


def _unfinished(journey: Journey) -> Step | None:
    """Return the step that the share is at."""
    steps = [journey.steps[key] for key in _WORK if key in journey.steps]
    return next((step for step in steps if step.status in ("waiting", "active")), None)


def _pass(journey: Journey, *keys: Key) -> None:
    for key in keys:
        step = journey.steps.get(key)
        if step is not None:
            if step.status == "active" and step.value.endswith("to be tried again"):
                step.value = ""
            step.status = "done"
    following = _unfinished(journey)
    if following is not None and journey.state == "sending":
        following.status = "active"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
