"""The pages that somebody sees in the browser: plain HTML, which runs no script, loads nothing and stands in no frame.

Source: RFC 6749, section 10.13; RFC 9700, sections 4.2.4 and 4.16.
"""

import base64
import hashlib
from collections.abc import Collection
from html import escape
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, Response

from ..storage import ClientRecord

__all__ = ["consent_page", "message_page"]

_STYLE: Final = (
    "body{font:1rem/1.5 system-ui,sans-serif;margin:3rem auto;padding:0 1rem;max-width:34rem;"
    "color:#222;background:#fafafa}"
    "input,button{font:inherit;padding:.5rem .8rem;border:1px solid #888;border-radius:.3rem}"
    "input{box-sizing:border-box;width:100%;margin:.3rem 0 .5rem}button{margin:.7rem .5rem 0 0;background:#eee}"
    "button.yes{color:#fff;background:#5b2d8e}code{overflow-wrap:anywhere}.wrong{color:#a00}small{color:#555}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_MEANINGS: Final = {
    "read": "see your cloudBits and their inputs, and have them told to others",
    "write": "set their outputs and lights",
    "admin": "rename them, and take cloudBits in or give them up",
}
_PAGE: Final = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
    "<title>{title}</title><style>{style}</style></head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n"
)
_HERE: Final = (
    " That is a program on the computer that you sit at, and any program there can take that name:"
    " allow it only if you started it just now."
)
_CONSENT: Final = """<p><b>{name}</b> (<code>{client_id}</code>) asks to</p>
<ul>{wishes}</ul>
<p>The answer goes to <code>{destination}</code>.{here}</p>
{problem}<form method="post">
<label>An access token of this cloud, to show that you may allow it
<input type="password" name="token" autocomplete="off" spellcheck="false" required autofocus></label>
<small>As <code>littlebits serve</code> printed one, or <code>littlebits tokens create</code> makes one. The application
does not get it. It gets no more than this token may do, for the same cloudBits, and only for as long as this token is
there.</small><br>
<button class="yes" name="decision" value="allow">Allow</button>
<button name="decision" value="deny" formnovalidate>Deny</button>
</form>"""


def consent_page(
    client: ClientRecord,
    redirect_uri: str,
    scopes: Collection[str],
    *,
    problem: str = "",
    status: int = HTTPStatus.OK,
) -> Response:
    """Ask whether an application may have what it asks for."""
    parts = urlsplit(redirect_uri)
    is_here = parts.hostname in {"127.0.0.1", "::1", "localhost"} or parts.scheme not in {"http", "https"}
    body = _CONSENT.format(
        name=escape(client.name),
        client_id=escape(client.id),
        wishes="".join(f"<li><b>{scope}</b>: {_MEANINGS[scope]}</li>" for scope in sorted(scopes)),
        destination=escape(f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"),
        here=_HERE if is_here else "",
        problem=f'<p class="wrong" role="alert">{escape(problem)}</p>\n' if problem else "",
    )
    # Browsers hold the redirect that answers a form to form-action too. Its scheme says it as well as can be: a policy
    # has no way to name an address in IPv6.
    return _page(f"Allow {client.name}?", body, status, form_action=f"'self' {parts.scheme}:")


def message_page(title: str, message: str, status: int) -> Response:
    """Tell what is wrong to somebody who cannot be sent back."""
    return _page(title, f"<p>{escape(message)}</p>", status, form_action="'none'")


def _page(title: str, body: str, status: int, *, form_action: str) -> Response:
    content = _PAGE.format(title=escape(title), style=_STYLE, body=body)
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form_action}; base-uri 'none';"
        " frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        # To this cloud itself: without any, a browser does not say either where a form comes from.
        "referrer-policy": "same-origin",
    }
    return HTMLResponse(content, status, headers)
