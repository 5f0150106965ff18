"""People: passwords (argon2), lock-out, and sessions that end by time, silence or number."""
from __future__ import annotations

import hashlib
import logging
import secrets
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, bindparam, insert, select, update

from hub.context import Hub
from hub.errors import Invalid, NotFound, Refused, Retryable
from hub.model.access import ROLES, Actor
from hub.storage import audit, driver
from hub.storage.tables import account, session, site

SHORTEST_PASSWORD = 10
LONGEST_NAME = 64
TOUCH_AFTER = timedelta(seconds=60)
_hasher = PasswordHasher()          # RFC 9106 low-memory profile, the library's default
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$MTIzNDU2Nzg5MDEyMzQ1Ng$5nb6lXo5OBXTx4Gp3oHhZM8bPfYVKJnQ2J4mWzSAvWk"
_PLAIN = "abcdefghjkmnpqrstuvwxyz23456789"
log = logging.getLogger("hub.accounts")
_WRONG = ("wrong_password", "用户名或密码不正确。", "the user name or password is wrong.")


def create(hub: Hub, actor: Actor, *, username: str, password: str, display_name: str, role: str,
           site_id: int | None = None, title: str = "", language: str = "zh", must_change_password: bool = False) -> int:
    """Adds a person and returns the account's id. A clinic account belongs to a site."""
    actor.require("account.manage")
    _check_role(role, site_id)
    username = username.strip().lower()
    if not 2 <= len(username) <= 64 or any(ch.isspace() for ch in username):
        raise Invalid("bad_username", "用户名应为 2 至 64 个字符，不含空格。", "a user name has 2 to 64 characters without spaces.")
    if max(len(display_name.strip()), len(title.strip())) > LONGEST_NAME:
        raise Invalid("bad_name", f"姓名和职称最多 {LONGEST_NAME} 个字符。", f"a name or title has at most {LONGEST_NAME} characters.")
    check_password(password)
    with hub.writing() as connection:
        if connection.scalar(select(account.c.id).where(account.c.username == username)) is not None:
            raise Invalid("username_taken", "该用户名已存在。", "this user name exists already.")
        _check_site(connection, site_id)
        account_id = connection.execute(insert(account).values(
            username=username, display_name=display_name.strip() or username, title=title.strip(), role=role, site_id=site_id,
            password_hash=_hasher.hash(password), language=language, active=True, failures=0,
            must_change_password=must_change_password, created_at=hub.now())).inserted_primary_key[0]
        audit.append(connection, hub.now(), actor, "account.create", "account", account_id, site_id, username=username, role=role)
    return account_id


def check_password(password: str) -> None:
    """Invalid unless the password is long enough and not one character over and over."""
    if len(password) < SHORTEST_PASSWORD or len(password) > 256 or len(set(password)) < 4:
        raise Invalid("weak_password", f"密码至少 {SHORTEST_PASSWORD} 个字符，且不能过于简单。",
                      f"a password has at least {SHORTEST_PASSWORD} characters and is not too simple.")


def sign_in(hub: Hub, username: str, password: str, address: str) -> str:
    """Checks a password and returns a session token. Refused with one sentence that does not tell which was wrong;
    after too many failures the account is locked for a while."""
    now, settings = hub.now(), hub.settings
    with hub.reading() as connection:
        row = connection.execute(select(account).where(account.c.username == username.strip().lower())).one_or_none()
    if row is not None and _is_locked(row, now):
        minutes = max(1, round((row.locked_until - now).total_seconds() / 60))
        raise Refused("locked", f"密码连续输错，账号已锁定，请 {minutes} 分钟后再试或联系管理员。",
                      f"locked after wrong passwords; try again in {minutes} minutes or ask the administrator.")
    right = _matches(row.password_hash if row else _NOBODY, password)
    if row is None:
        raise Refused(*_WRONG)
    with hub.writing() as connection:
        row = connection.execute(select(account).where(account.c.id == row.id)).one()     # others may guess at the same moment
        failed = not row.active or not right or _is_locked(row, now)
        if failed:
            _count_failure(hub, connection, row, address)
        else:
            connection.execute(update(account).where(account.c.id == row.id).values(failures=0, locked_until=None))
            token = secrets.token_urlsafe(32)
            connection.execute(insert(session).values(
                token_sha256=_digest(token), account_id=row.id, address=address[:64], created_at=now, seen_at=now,
                ends_at=now + timedelta(hours=settings.session_hours)))
            _end_oldest(connection, row.id, settings.sessions_per_account, now)
            audit.append(connection, now, _actor(row, address), "session.begin", "account", row.id, row.site_id)
    if failed:
        raise Refused(*_WRONG)
    return token


def who(hub: Hub, token: str, address: str = ""):
    """The account row and actor behind a session token, or None when it has ended. Counts as activity."""
    now, row = hub.now(), _session_of(hub, token)
    if row is None:
        return None
    if now - row.seen_at > min(TOUCH_AFTER, timedelta(minutes=hub.settings.session_idle_minutes) / 4):
        _touch(hub, row.session_id, now)
    return row, _actor(row, address)


def glance(hub: Hub, token: str, address: str = ""):
    """As ``who``, for what a page asks by itself: it does not keep an idle session alive."""
    row = _session_of(hub, token)
    return None if row is None else (row, _actor(row, address))


def sign_out(hub: Hub, token: str, actor: Actor) -> None:
    """Ends a session."""
    with hub.writing() as connection:
        connection.execute(update(session).where(session.c.token_sha256 == _digest(token)).values(ended_at=hub.now()))
        audit.append(connection, hub.now(), actor, "session.end", "account", actor.account_id)


def change_password(hub: Hub, actor: Actor, old: str, new: str) -> None:
    """Changes one's own password; all other sessions of the account end."""
    check_password(new)
    with hub.reading() as connection:
        row = connection.execute(select(account).where(account.c.id == actor.account_id)).one()
    if not _matches(row.password_hash, old):
        raise Refused("wrong_password", "原密码不正确。", "the old password is wrong.")
    with hub.writing() as connection:
        _set_password(hub, connection, row.id, new, must_change=False)
        audit.append(connection, hub.now(), actor, "account.change_password", "account", row.id)


def reset_password(hub: Hub, actor: Actor, account_id: int, new: str) -> None:
    """The administrator gives a new password, to be changed at the next sign-in; the lock is lifted."""
    actor.require("account.manage")
    check_password(new)
    with hub.writing() as connection:
        _set_password(hub, connection, account_id, new, must_change=True)
        audit.append(connection, hub.now(), actor, "account.reset_password", "account", account_id)


def make_password() -> str:
    """A random password to be told once: 16 letters and digits in four groups, none that look alike (about 79 bits)."""
    letters = "".join(secrets.choice(_PLAIN) for _ in range(16))
    return "-".join(letters[at:at + 4] for at in range(0, 16, 4))


def unlock(hub: Hub, actor: Actor, account_id: int) -> None:
    """Lifts the lock that wrong passwords brought; the password stays."""
    actor.require("account.manage")
    with hub.writing() as connection:
        if connection.execute(update(account).where(account.c.id == account_id).values(failures=0, locked_until=None)).rowcount != 1:
            raise NotFound("not_found", "没有这个账号。", "no such account.")
        audit.append(connection, hub.now(), actor, "account.unlock", "account", account_id)


def set_role(hub: Hub, actor: Actor, account_id: int, role: str, site_id: int | None) -> None:
    """Gives a person another role or site; it holds from their next request on."""
    actor.require("account.manage")
    if account_id == actor.account_id:
        raise Refused("not_yourself", "不能更改自己的角色，请由另一位管理员操作。", "nobody changes their own role; ask another administrator.")
    _check_role(role, site_id)
    with hub.writing() as connection:
        _check_site(connection, site_id)
        before = connection.execute(select(account.c.role, account.c.site_id).where(account.c.id == account_id)).one_or_none()
        if before is None:
            raise NotFound("not_found", "没有这个账号。", "no such account.")
        connection.execute(update(account).where(account.c.id == account_id).values(role=role, site_id=site_id))
        audit.append(connection, hub.now(), actor, "account.set_role", "account", account_id, site_id, role=role, site=site_id,
                     role_before=before.role, site_before=before.site_id)


def set_active(hub: Hub, actor: Actor, account_id: int, active: bool) -> None:
    """Lets a person in again, or shuts them out at once."""
    actor.require("account.manage")
    if account_id == actor.account_id:
        raise Refused("not_yourself", "不能停用自己的账号。", "nobody shuts out themselves.")
    with hub.writing() as connection:
        if connection.execute(update(account).where(account.c.id == account_id).values(active=active)).rowcount != 1:
            raise NotFound("not_found", "没有这个账号。", "no such account.")
        connection.execute(update(session).where(session.c.account_id == account_id, session.c.ended_at.is_(None)).values(ended_at=hub.now()))
        audit.append(connection, hub.now(), actor, "account.set_active", "account", account_id, active=active)


def set_language(hub: Hub, actor: Actor, language: str) -> None:
    """Remembers the language a person reads pages in."""
    if language not in ("zh", "en"):
        raise Invalid("bad_language", "语言只能是中文或英文。", "the language is zh or en.")
    with hub.writing() as connection:
        connection.execute(update(account).where(account.c.id == actor.account_id).values(language=language))


def listed(hub: Hub, actor: Actor) -> list:
    """All accounts with their site's name."""
    actor.require("account.manage")
    with hub.reading() as connection:
        return list(connection.execute(select(account, site.c.name.label("site_name")).outerjoin(site, site.c.id == account.c.site_id)
                                       .order_by(account.c.role, account.c.username)))


def _check_role(role: str, site_id: int | None) -> None:
    if role not in ROLES:
        raise Invalid("bad_role", f"角色只能是 {'、'.join(ROLES)}。", f"a role is one of {', '.join(ROLES)}.")
    if role == "clinic" and site_id is None:
        raise Invalid("no_site", "申请机构账号必须指定所属机构。", "a clinic account needs a site.")


def _check_site(connection: Connection, site_id: int | None) -> None:
    if site_id is not None and connection.scalar(select(site.c.id).where(site.c.id == site_id)) is None:
        raise Invalid("no_site", "没有这个机构。", "no such institution.")


_BY_TOKEN = select(account, session.c.id.label("session_id"), session.c.seen_at, session.c.ends_at, session.c.ended_at).join(
    session, session.c.account_id == account.c.id).where(session.c.token_sha256 == bindparam("token"))


def _session_of(hub: Hub, token: str):
    now = hub.now()
    row = driver.first(hub.engine, _BY_TOKEN, {"token": _digest(token)})      # with every frame and every page
    idle = timedelta(minutes=hub.settings.session_idle_minutes)
    if row is None or not row.active or row.ended_at or row.ends_at <= now or row.seen_at + idle <= now:
        return None
    return row


def _set_password(hub: Hub, connection: Connection, account_id: int, new: str, must_change: bool) -> None:
    changed = connection.execute(update(account).where(account.c.id == account_id).values(
        password_hash=_hasher.hash(new), must_change_password=must_change, failures=0, locked_until=None))
    if changed.rowcount != 1:
        raise NotFound("not_found", "没有这个账号。", "no such account.")
    connection.execute(update(session).where(session.c.account_id == account_id, session.c.ended_at.is_(None)).values(ended_at=hub.now()))


def _count_failure(hub: Hub, connection: Connection, row, address: str) -> None:
    if _is_locked(row, hub.now()):
        return
    locks = row.failures + 1 >= hub.settings.lockout_failures
    connection.execute(update(account).where(account.c.id == row.id).values(
        failures=0 if locks else row.failures + 1,
        locked_until=hub.now() + timedelta(minutes=hub.settings.lockout_minutes) if locks else None))
    audit.append(connection, hub.now(), _actor(row, address), "session.locked" if locks else "session.refused", "account", row.id, row.site_id)


def _is_locked(row, now) -> bool:
    return row.locked_until is not None and row.locked_until > now


def _touch(hub: Hub, session_id: int, now) -> None:
    """Notes activity. Where the disk is full a page is shown all the same."""
    try:
        with hub.writing() as connection:
            connection.execute(update(session).where(session.c.id == session_id).values(seen_at=now))
    except Retryable as error:
        log.warning("a session's activity could not be noted: %s", error)


def _end_oldest(connection: Connection, account_id: int, most: int, now) -> None:
    open_ones = connection.execute(select(session.c.id).where(
        session.c.account_id == account_id, session.c.ended_at.is_(None)).order_by(session.c.id.desc())).scalars().all()
    if open_ones[most:]:
        connection.execute(update(session).where(session.c.id.in_(open_ones[most:])).values(ended_at=now))


def _actor(row, address: str) -> Actor:
    return Actor(row.id, row.display_name, row.role, row.site_id, address)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
