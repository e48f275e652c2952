"""Logging in and out, new members, and passwords that somebody forgot.

A key is 64 hexadecimal digits, of which only the digest is kept. To log in needs the same work whether the address is
unknown or the password wrong, and the same is said. Who guesses has to wait; and so has, after a class full, an address
of the network from which people join or ask for passwords: anybody may, and that makes work, and tells who is a member.

The cloud sends no mail. What asks for a new password is kept for the operator, whom `littlebits members` tells of it
and lets set one.

Source: spec/mobile-application-api.txt, "Authentication" and "Users". What it leaves open: a new member is answered
for with 201 as a login is; to ask for a password says nothing but that it was heard. A username is of ASCII, so that it
is its own slug; an address may be of any script, and is the same in whatever case and normal form it is written.
"""

import logging
import re
import secrets
import time
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final, cast

from ..answers import Refusal
from ..guesses import Guesses
from ..storage import MemberRecord, Store
from ..tokens import digest
from ._catalogue import Catalogue
from ._encode import Encoder
from ._guessing import Guessing
from ._passwords import Passwords
from ._resource import Call
from ._said import Said, unprocessable

__all__ = ["Accounts", "VerifyFacebook"]

logger: Final = logging.getLogger(__name__)

VerifyFacebook = Callable[[Mapping[str, object]], Awaitable[bool]]
"""Is given ``access_token`` as a client sent it, and says whether it proves to be the user whose ``userID`` it has.

Name and address are not in it: they are taken as the client says, as those of any new member are.
"""

_FORM: Final = "mobile_app"
_NEW: Final = "user"
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_USERNAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_.-]{1,39}")
"""A letter is in it, so that it is not taken for a number."""
_NO_LETTER: Final = re.compile(r"[^A-Za-z0-9]")
_MOST_OF_A_NAME: Final = 30
_RESERVED: Final = {"new", "password_reset"}
_SHORTEST: Final = 8
"""Characters of a password."""
_LONGEST: Final = 1000
_FACEBOOK_ID: Final = re.compile(r"[0-9]{1,32}")


class Accounts:
    """Who is a member.

    Args:
        store: Knows them.
        catalogue: What they have published.
        verify_facebook: Tells whether a login is Facebook's; None where nobody can.
    """

    def __init__(self, store: Store, catalogue: Catalogue, verify_facebook: VerifyFacebook | None) -> None:
        self._members = store.members
        self._community = store.community
        self._catalogue = catalogue
        self._verify_facebook = verify_facebook
        self._passwords = Passwords()
        self._guessing = Guessing()
        self._strangers = Guesses(most=60, window=600.0)

    async def log_in(self, call: Call) -> object:
        """Log in with a password.

        Raises:
            Refusal: 401 for a wrong one, 429 after many.
        """
        email = _written(call.said.text("email", within=_FORM))
        password = call.said.secret("password", within=_FORM)
        return await self._welcome(call, await self._check(call.address, email, password))

    async def log_in_with_facebook(self, call: Call) -> object:
        """Log in with an account at Facebook, which becomes a member the first time.

        Raises:
            Refusal: 403 where that cannot be checked, 401 where it is not true, 429 after many.
        """
        if self._verify_facebook is None:
            message = "This cloud cannot tell who somebody is at Facebook. Log in with a password."
            raise Refusal(HTTPStatus.FORBIDDEN, message)
        email = _email(call.said.text("email"))
        name = call.said.text("first_name") + call.said.text("last_name")
        proof, facebook_id = _proof(call.said)
        self._admit(call.address)
        if not await self._verify_facebook(proof):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Facebook does not know this login")
        username = _NO_LETTER.sub("", name)[:_MOST_OF_A_NAME]
        if not _is_username(username):
            username = "maker"
        made = MemberRecord(
            username=username, slug=username.lower(), email=email, facebook_id=facebook_id, created_ms=_now_ms()
        )
        member = await self._members.add_from_facebook(made)
        if member is None:
            raise unprocessable("email has already been taken")
        return await self._welcome(call, member)

    async def log_out(self, call: Call) -> object:
        """End a key, whether there is such a one or not."""
        with suppress(Refusal):  # what cannot be a key is none
            await self._members.remove_key(digest(call.said.secret("token")))
        return None

    async def create(self, call: Call) -> object:
        """Make a new member.

        Raises:
            Refusal: 422, with all that is wrong; 429 after many.
        """
        email, username = (call.said.optional_text(name, within=_NEW) for name in ("email", "username"))
        password, again = (call.said.secret(name, within=_NEW) for name in ("password", "password_confirmation"))
        if problems := _problems(email, username, password, again):
            raise unprocessable("; ".join(problems))
        self._admit(call.address)
        async with self._passwords.turn():
            hashed = await self._passwords.hash(password)
        made = await self._members.add(
            MemberRecord(
                username=username, slug=username.lower(), email=_written(email), password=hashed, created_ms=_now_ms()
            )
        )
        if isinstance(made, frozenset):
            taken = [name for name, column in (("email", "email"), ("username", "slug")) if column in made]
            raise unprocessable("; ".join(f"{name} has already been taken" for name in taken))
        return await self._welcome(call, made)

    async def ask_reset(self, call: Call) -> object:
        """Ask for a new password; whether there is such a member is not said.

        Raises:
            Refusal: 429 after many.
        """
        email = _email(call.said.text("email"))
        self._admit(call.address)
        if await self._members.ask_reset(email, _now_ms()):
            logger.warning("a member asks for a new password; `littlebits members list` tells who")
        return {}

    async def _check(self, address: str, email: str, password: str) -> MemberRecord:
        self._check_guesses(address, email)
        async with self._passwords.turn():
            self._check_guesses(address, email)  # while this one waited, others may have been wrong
            member = await self._members.find("email", email)
            if await self._passwords.match(password, None if member is None else member.password) and member:
                self._guessing.note_right(address, email)
                return member
            self._guessing.note_wrong(address, email, time.monotonic())
        raise _wrong_password()

    def _check_guesses(self, address: str, email: str) -> None:
        if wait := self._guessing.wait(address, email, time.monotonic()):
            raise _too_many("passwords were wrong", wait)

    def _admit(self, address: str) -> None:
        now = time.monotonic()
        if wait := self._strangers.wait(address, now):
            raise _too_many("asked from this address", wait)
        self._strangers.note(address, now)

    async def _welcome(self, call: Call, member: MemberRecord) -> object:
        key = secrets.token_hex(32)
        if not await self._members.add_key(member, digest(key)):
            raise _wrong_password()  # it was changed while this one was compared
        encoder = Encoder(self._catalogue, call.picture)
        return {**encoder.member(member, await self._community.standing()), "spree_api_key": key}


def _problems(email: str, username: str, password: str, again: str) -> list[str]:
    problems: list[str] = []
    if not email:
        problems.append("email can't be blank")
    elif not _EMAIL.fullmatch(email):
        problems.append("email is invalid")
    if not username:
        problems.append("username can't be blank")
    elif not _is_username(username):
        problems.append("username is invalid (2 to 40 of A-Z, a-z, 0-9, '.', '_' and '-', and a letter among them)")
    if len(password) < _SHORTEST:
        problems.append(f"password is too short (minimum is {_SHORTEST} characters)")
    elif len(password) > _LONGEST:
        problems.append(f"password is too long (maximum is {_LONGEST} characters)")
    elif password != again:
        problems.append("password_confirmation doesn't match password")
    return problems


def _is_username(text: str) -> bool:
    return _USERNAME.fullmatch(text) is not None and text.lower() not in _RESERVED


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise unprocessable("email is invalid")
    return _written(text)


def _written(email: str) -> str:
    return unicodedata.normalize("NFC", email).lower()


def _wrong_password() -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, "Email or password is wrong")


def _too_many(what: str, wait: float) -> Refusal:
    seconds = int(wait) + 1
    headers = {"retry-after": str(seconds)}
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, f"Too many {what}. Try again in {seconds} s.", headers=headers)


def _proof(said: Said) -> tuple[Mapping[str, object], str]:
    proof = said.find("access_token")
    if isinstance(proof, Mapping):
        proof = cast("Mapping[str, object]", proof)
        facebook_id = str(proof.get("userID"))
        if _FACEBOOK_ID.fullmatch(facebook_id):
            return proof, facebook_id
    raise unprocessable("access_token must be an object with a userID")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
