"""The community's requests as values: one builder for each call, which refuses what no request could carry.

`Community` has a method for each; with `Community.answer` a call gives what the answer says of itself, too.

Source: spec/mobile-application-api.txt.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, TypeVar, cast

from ..errors import InvalidArgumentError
from ..wire import Call, check
from ._answers import (
    read_account,
    read_content,
    read_done,
    read_made_user,
    reader_of_many,
    reader_of_one,
    reader_of_page,
)
from ._models import (
    Account,
    Answer,
    Comment,
    ContentHtml,
    ContentList,
    Like,
    Page,
    Project,
    ProjectDetails,
    ProjectSort,
    User,
)
from ._products import LibraryChange, LibraryItem, Product, Variant

__all__ = [
    "add_to_library",
    "comment",
    "comments",
    "content",
    "create_user",
    "library",
    "like",
    "likes",
    "login",
    "login_with_facebook",
    "logout",
    "product",
    "products",
    "project",
    "projects",
    "remove_from_library",
    "reply",
    "reset_password",
    "search",
    "update_library",
    "user",
    "variant",
]

_T = TypeVar("_T")

_ADVICE: Final[Mapping[int, str]] = {
    400: "check the arguments",
    401: "log in, or check api_key and basic_auth",
    404: "check the id or slug",
    405: "check base_url",
    406: "check base_url",
    422: "check the arguments",
}
_LOGIN_ADVICE: Final = {**_ADVICE, 401: "check what you log in with, and basic_auth"}
_MOST_BYTES: Final = 1024
"""Of what goes into a URL, which as a whole is bounded: 64 KiB in httpx, 8 KiB with many servers."""
_MOST_VARIANTS: Final = 500


def login(email: str, password: str) -> Call[Answer[Account]]:
    """Log in."""
    form = {"mobile_app[email]": _email(email), "mobile_app[password]": check.text("password", password)}
    return _call("POST", "/session/create", read_account, form=form, secrets=(email, password), advice=_LOGIN_ADVICE)


def login_with_facebook(*, first_name: str, last_name: str, email: str, user_id: str) -> Call[Answer[Account]]:
    """Log in as whom Facebook knows by ``user_id``."""
    body: dict[str, object] = {
        "first_name": check.text("first_name", first_name),
        "last_name": check.text("last_name", last_name),
        "email": _email(email),
        "access_token": {"userID": check.text("user_id", user_id)},
    }
    return _call("POST", "/session/fb", read_account, body=body, secrets=(email, user_id), advice=_LOGIN_ADVICE)


def logout(key: str) -> Call[Answer[None]]:
    """Have a key be good for nothing any more."""
    return _call(
        "POST", "/session/destroy", read_done, form={"token": check.text("key", key)}, secrets=(key,), idempotent=True
    )


def content(key: str) -> Call[Answer[ContentList | ContentHtml]]:
    """Get content for display."""
    return _get("/content", read_content, {"key": _text("key", key)})


def library() -> Call[Answer[list[LibraryItem]]]:
    """List the library of the key's owner."""
    return _get("/my_library", reader_of_many(LibraryItem))


def add_to_library(variant_id: int) -> Call[Answer[list[LibraryItem]]]:
    """Add one of a variant."""
    return _call("POST", "/my_library", reader_of_many(LibraryItem), form=_variant(variant_id))


def update_library(
    variant_id: int, operator: LibraryChange | Literal["add", "subtract"], delta: int
) -> Call[Answer[list[LibraryItem]]]:
    """Add or subtract some of a variant."""
    form = _variant(variant_id) | {
        "operator": check.choice("operator", operator, LibraryChange),
        "delta": str(check.whole("delta", delta)),
    }
    return _call("PUT", "/my_library", reader_of_many(LibraryItem), form=form)


def remove_from_library(variant_id: int) -> Call[Answer[list[LibraryItem]]]:
    """Remove a variant."""
    return _call("DELETE", "/my_library", reader_of_many(LibraryItem), form=_variant(variant_id), idempotent=True)


def products() -> Call[Answer[list[Product]]]:
    """List all products."""
    return _get("/products", reader_of_many(Product))


def product(product_id: int) -> Call[Answer[Product]]:
    """Get one product."""
    return _get(f"/products/{check.whole('product_id', product_id)}", reader_of_one(Product))


def variant(product_id: int, variant_id: int) -> Call[Answer[Variant]]:
    """Get one variant of a product."""
    path = f"/products/{check.whole('product_id', product_id)}/variants/{check.whole('variant_id', variant_id)}"
    return _get(path, reader_of_one(Variant))


def projects(*, page: int = 1, per_page: int = 10) -> Call[Page[Project]]:
    """List one page of the published projects."""
    return _get("/projects", reader_of_page(Project, page), _paging(page, per_page))


def search(
    q: str | None = None,
    *,
    sort: ProjectSort | Literal["recent", "popular"] | None = None,
    days_ago: int | None = None,
    tags: str | None = None,
    type: str | None = None,  # noqa: A002 - the API's word
    kit: str | None = None,
    variants: Sequence[int] | None = None,
    qty: Sequence[int] | None = None,
    user: int | None = None,
    page: int = 1,
    per_page: int = 10,
) -> Call[Page[Project]]:
    """List one page of the projects that are looked for."""
    query: dict[str, str] = {}
    for name, said in (("q", q), ("tags", tags), ("type", type), ("kit", kit)):
        if said is not None:
            query[name] = _text(name, said)
    if sort is not None:
        query["sort"] = check.choice("sort", sort, ProjectSort)
    if days_ago is not None:
        query["days_ago"] = str(check.whole("days_ago", days_ago, least=0))
    if user is not None:
        query["user"] = str(check.whole("user", user))
    query |= _bits(variants, qty)
    return _get("/projects/search", reader_of_page(Project, page), query | _paging(page, per_page))


def project(id_or_slug: int | str) -> Call[Answer[ProjectDetails]]:
    """Get one project."""
    return _get(f"/projects/{_name('project', id_or_slug)}", reader_of_one(ProjectDetails))


def comments(project: int | str, *, page: int = 1, per_page: int = 10) -> Call[Page[Comment]]:
    """List one page of a project's comments."""
    path = f"/projects/{_name('project', project)}/comments"
    return _get(path, reader_of_page(Comment, page), _paging(page, per_page))


def comment(project: int | str, text: str) -> Call[Answer[Comment]]:
    """Comment on a project."""
    path = f"/projects/{_name('project', project)}/comments"
    return _call("POST", path, reader_of_one(Comment), form={"comment": check.text("text", text)})


def reply(project: int | str, comment_id: int, text: str) -> Call[Answer[Comment]]:
    """Reply to a comment."""
    path = f"/projects/{_name('project', project)}/comments/{check.whole('comment_id', comment_id)}"
    return _call("POST", path, reader_of_one(Comment), form={"comment": check.text("text", text)})


def like(project: int | str) -> Call[Answer[Like]]:
    """Like a project, or like it no more: whichever was not so before."""
    return _call("POST", f"/projects/{_name('project', project)}/like", reader_of_one(Like), once=True)


def user(id_or_slug: int | str) -> Call[Answer[User]]:
    """Get one user."""
    return _get(f"/users/{_name('user', id_or_slug)}", reader_of_one(User))


def likes(user: int | str) -> Call[Answer[list[Project]]]:
    """List what a user likes."""
    return _get(f"/users/{_name('user', user)}/likes", reader_of_many(Project))


def create_user(*, email: str, username: str, password: str) -> Call[Answer[User | None]]:
    """Make a user."""
    form = {
        "user[email]": _email(email),
        "user[username]": check.text("username", username),
        "user[password]": check.text("password", password),
        "user[password_confirmation]": password,
    }
    return _call("POST", "/users/new", read_made_user, form=form, secrets=(email, password))


def reset_password(email: str) -> Call[Answer[None]]:
    """Have a new password be made."""
    query = {"email": _email(email)}
    return _call("GET", "/users/password_reset", read_done, query=query, secrets=(email,), once=True)


def _get(path: str, answer: Callable[[bytes | str], _T], query: Mapping[str, str] | None = None) -> Call[_T]:
    return _call("GET", path, answer, query=query, idempotent=True)


def _call(
    method: str,
    path: str,
    answer: Callable[[bytes | str], _T],
    *,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, object] | None = None,
    form: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
    idempotent: bool = False,
    once: bool = False,
    advice: Mapping[int, str] = _ADVICE,
) -> Call[_T]:
    return Call(
        method=method,
        path=path,
        query=query or {},
        body=body,
        form=form,
        secrets=secrets,
        idempotent=idempotent,
        once=once,
        advice=advice,
        answer=answer,
    )


def _text(name: str, value: object) -> str:
    return check.text(name, value, most=_MOST_BYTES)


def _email(value: object) -> str:
    return check.text("email", value, most=_MOST_BYTES)


def _name(name: str, value: object) -> str:
    """An id, or a slug, as a segment of a path."""
    if isinstance(value, int):
        return str(check.whole(name, value))
    return check.segment(name, value, most=_MOST_BYTES)


def _variant(variant_id: object) -> dict[str, str]:
    return {"variant_id": str(check.whole("variant_id", variant_id))}


def _paging(page: object, per_page: object) -> dict[str, str]:
    return {"page": str(check.whole("page", page)), "per_page": str(check.whole("per_page", per_page))}


def _bits(variants: object, qty: object) -> dict[str, str]:
    if variants is None:
        if qty is not None:
            raise InvalidArgumentError("qty says how many of which variants: give variants too")
        return {}
    ids = _wholes("variants", variants)
    if qty is None:
        return {"variants": _joined(ids)}
    numbers = _wholes("qty", qty)
    if len(numbers) != len(ids):
        raise InvalidArgumentError(f"qty must be as many as variants, {len(ids)}, not {len(numbers)}")
    return {"variants": _joined(ids), "qty": _joined(numbers)}


def _wholes(name: str, values: object) -> list[int]:
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise InvalidArgumentError(f"{name} must be a list of ints, not {type(values).__name__}")
    found = [check.whole(name, value) for value in cast("Sequence[object]", values)]
    if not 0 < len(found) <= _MOST_VARIANTS:
        raise InvalidArgumentError(f"{name} must be of 1 to {_MOST_VARIANTS} ints, not {len(found)}")
    return found


def _joined(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))
