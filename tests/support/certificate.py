"""A certificate for this machine, and who trusts it."""

import ssl
from pathlib import Path

import trustme
from attrs import frozen


@frozen
class Certificate:
    """The files of a certificate, in PEM.

    Attributes:
        certificate: The certificate alone.
        key: Its key.
        both: Both in one file.
        trusted: For a client that trusts its authority, and no other.
    """

    certificate: Path
    key: Path
    both: Path
    trusted: ssl.SSLContext


def make_certificate(folder: Path) -> Certificate:
    """Make one for 127.0.0.1 and localhost."""
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1", "localhost")
    found = Certificate(folder / "cert.pem", folder / "key.pem", folder / "both.pem", ssl.create_default_context())
    made.cert_chain_pems[0].write_to_path(str(found.certificate))
    made.private_key_pem.write_to_path(str(found.key))
    made.private_key_and_cert_chain_pem.write_to_path(str(found.both))
    found.trusted.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    return found
