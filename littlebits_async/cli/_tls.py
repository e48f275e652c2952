"""A certificate for ``littlebits serve``."""

import re
import ssl
from pathlib import Path
from typing import Final

from ._errors import CommandError, ExitCode

__all__ = ["tls_context", "trusting"]

_CERTIFICATE: Final = re.compile("-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Read a certificate and its key, which may stand in one file; None where neither is named.

    Raises:
        CommandError: They cannot be used.
    """
    if certificate is None:
        if key is not None:
            raise CommandError("--tls-key needs --tls-cert", ExitCode.USAGE)
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password of ours OpenSSL would ask the terminal for that of an encrypted key.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        files = " and ".join(str(item) for item in (certificate, key) if item is not None)
        raise CommandError(f"cannot use {files} for TLS: {_reason(exc)}", ExitCode.USAGE) from exc
    return context


def trusting(certificate: Path) -> ssl.SSLContext:
    """Trust a certificate of ours, and nothing else, whatever name it is for: it is this process that has its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whoever vouches for it need not be there
    # The first is ours. Those behind it vouch for others, too.
    found = _CERTIFICATE.search(certificate.read_text(encoding="utf-8", errors="replace"))
    if found is not None:
        context.load_verify_locations(cadata=found[0])
    return context


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key is not that of the certificate"
        return "there must be a certificate and its key in PEM, not encrypted"
    return getattr(error, "strerror", None) or str(error)
