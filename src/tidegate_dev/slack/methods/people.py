"""auth.test, users.* and usergroups.*: who is who."""

from typing import Any, Final

from tidegate_dev.slack.errors import ApiError
from tidegate_dev.slack.methods.call import Call, Method


def auth_test(call: Call) -> dict[str, Any]:
    """Return whose token it is."""
    identity = call.workspace.identity
    bot = call.workspace.users.get(identity.bot_user_id)
    return {
        "url": f"https://{identity.team_domain}.slack.com/",
        "team": identity.team_name,
        "user": bot.handle if bot is not None else "",
        "team_id": identity.team_id,
        "user_id": identity.bot_user_id,
        "bot_id": identity.bot_id,
        "is_enterprise_install": False,
    }


def api_test(call: Call) -> dict[str, Any]:
    """Return the arguments; the argument `error` makes it that error."""
    values = dict(call.arguments.values)
    if call.arguments.has("error"):
        raise ApiError(call.arguments.text("error"), fields={"args": values})
    return {"args": values}


def users_info(call: Call) -> dict[str, Any]:
    """Return one user."""
    user = call.workspace.users.get(call.arguments.text("user"))
    if user is None:
        raise ApiError("user_not_found")
    return {"user": user.as_api()}


def users_list(call: Call) -> dict[str, Any]:
    """Return everyone, bots included."""
    members = [user.as_api() for user in call.workspace.users.values()]
    stamp = int(call.workspace.clock.now())
    return {"members": members, "cache_ts": stamp, "response_metadata": {"next_cursor": ""}}


def usergroups_list(call: Call) -> dict[str, Any]:
    """Return the user groups, with their members if asked."""
    arguments = call.arguments
    groups = [
        group.as_api(
            include_users=arguments.flag("include_users"),
            include_count=arguments.flag("include_count"),
        )
        for group in call.workspace.groups.values()
        if arguments.flag("include_disabled") or not group.disabled
    ]
    return {"usergroups": groups}


def usergroups_users_list(call: Call) -> dict[str, Any]:
    """Return the members of one user group."""
    group = call.workspace.groups.get(call.arguments.text("usergroup"))
    if group is None:
        raise ApiError("no_such_subteam")
    if group.disabled and not call.arguments.flag("include_disabled"):
        return {"users": []}
    return {"users": list(group.users)}


METHODS: Final = {
    "api.test": Method(run=api_test, tier=4),
    "auth.test": Method(run=auth_test, tier=5),
    "users.info": Method(run=users_info, tier=4, scopes=("users:read",)),
    "users.list": Method(run=users_list, tier=2, scopes=("users:read",)),
    "usergroups.list": Method(run=usergroups_list, tier=2, scopes=("usergroups:read",)),
    "usergroups.users.list": Method(run=usergroups_users_list, tier=2, scopes=("usergroups:read",)),
}
