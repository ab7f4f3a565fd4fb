"""What is said of a share to programs, in the names that every entrance uses."""

from typing import Any

from tidegate.core import notices, share_body
from tidegate.core.model import Run, State
from tidegate.core.share import Item, Shared
from tidegate.errors import ShareError


def report(shared: Shared) -> dict[str, Any]:
    """Return what was shared; what does not apply is left out."""
    order = shared.order
    first = next(item for item in shared.items if item.error is None)
    found: dict[str, Any] = {
        "ok": True,
        "mode": order.mode.value,
        "bucket": order.rules.bucket,
        "key": order.prefix if order.prefix is not None else first.key,
        "version_id": first.version_id,
        "channel": shared.channel_id,
        "ts": next(iter(shared.ts), None),
        "file_id": first.file_id,
        "url": shared.url,
        "expires_at": shared.expires_at,
        "blocks": list(shared.blocks) or None,
        "notes": list(shared.notes) or None,
    }
    if len(shared.items) > 1:
        found["items"] = [_item(item) for item in shared.items]
    return _applying(found)


def report_of_run(run: Run) -> dict[str, Any]:
    """Return what a run of the API has come to, from its record: without a link."""
    body = share_body.of_params(run.params)
    steps = run.steps
    files = steps.files if steps is not None else ()
    posts = steps.posts if steps is not None else ()
    found: dict[str, Any] = {
        "ok": run.state is State.SUCCEEDED,
        "mode": body.mode,
        "bucket": body.bucket,
        "key": body.key or next(iter(body.keys), None),
        "version_id": next((step.version_id for step in files if step.version_id), None),
        "channel": run.channel_id,
        "ts": next((post.ts for post in posts if post.ts), None),
        "file_id": next((step.file_id for step in files if step.file_id), None),
    }
    if run.state is not State.SUCCEEDED:
        words = run.message or notices.reason(run.reason) or "It was not shared."
        code = run.reason.removeprefix("share_") or run.state.value
        found["error"] = {"code": code, "message": words}
    return _applying(found)


def error_report(error: ShareError) -> dict[str, Any]:
    """Return a refusal."""
    return {"code": error.code, "message": error.notice}


def _item(item: Item) -> dict[str, Any]:
    found = {"key": item.key, "version_id": item.version_id, "file_id": item.file_id}
    if item.error is not None:
        return _applying({**found, "error": error_report(item.error)})
    return _applying(found)


def _applying(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}
