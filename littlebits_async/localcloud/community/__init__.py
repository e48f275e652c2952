"""The Mobile Application API, of the community's site: projects, products, libraries, users.

A second API beside the Cloud API, with members of its own: no token opens anything here, and no key of a member there.
"""

from ._accounts import VerifyFacebook
from ._app import Community
from ._passwords import hash_password

__all__ = ["Community", "VerifyFacebook", "hash_password"]
