"""What a test needs that a machine may not have: it skips with the reason, and fails where it was required."""

import os
import shutil
from typing import NoReturn

import pytest

REQUIRED = frozenset(filter(None, os.environ.get("LITTLEBITS_REQUIRE", "").replace(",", " ").split()))


def missing(service: str, reason: str) -> NoReturn:
    """Skip the test; fail where ``LITTLEBITS_REQUIRE`` names the service."""
    if service in REQUIRED:
        pytest.fail(f"{service} is required: {reason}")
    pytest.skip(f"{service}: {reason}")


def program(service: str, name: str) -> str:
    """Find a program on the path."""
    found = shutil.which(name)
    return missing(service, f"there is no {name} here") if found is None else found
