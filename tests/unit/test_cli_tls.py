"""What makes a certificate for `littlebits serve`, and what does not."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from littlebits_async.cli import main
from littlebits_async.cli._tls import tls_context
from tests.support.certificate import Certificate, make_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("other"))


def test_without_files_there_is_none() -> None:
    assert tls_context(None, None) is None


def test_two_files_or_one_make_it(certificate: Certificate) -> None:
    assert tls_context(certificate.certificate, certificate.key) is not None
    assert tls_context(certificate.both, None) is not None


def serve_fails(said: str, *options: str | Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *map(str, options)]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert said in errors
    assert errors.count("\n") == 1


def test_files_that_do_not_make_it_are_told_in_a_line(
    certificate: Certificate, other: Certificate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nosuch, broken = tmp_path / "nosuch.pem", tmp_path / "broken.pem"
    broken.write_text("hello", encoding="utf-8")
    in_pem = "there must be a certificate and its key in PEM, not encrypted"
    mine = certificate.certificate
    serve_fails("--tls-key needs --tls-cert", "--tls-key", certificate.key, capsys=capsys)
    serve_fails(f"{nosuch} for TLS: No such file", "--tls-cert", nosuch, capsys=capsys)
    serve_fails("No such file", "--tls-cert", mine, "--tls-key", nosuch, capsys=capsys)
    serve_fails("Is a directory", "--tls-cert", tmp_path, capsys=capsys)
    serve_fails(f"{mine} for TLS: {in_pem}", "--tls-cert", mine, capsys=capsys)
    serve_fails(in_pem, "--tls-cert", broken, "--tls-key", certificate.key, capsys=capsys)
    serve_fails(in_pem, "--tls-cert", mine, "--tls-key", broken, capsys=capsys)
    serve_fails(
        f"{mine} and {other.key} for TLS: the key is not that of the certificate",
        *("--tls-cert", mine, "--tls-key", other.key),
        capsys=capsys,
    )


def test_nobody_is_asked_for_the_password_of_a_key(
    certificate: Certificate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encrypted = tmp_path / "encrypted.pem"
    key = serialization.load_pem_private_key(certificate.key.read_bytes(), None)
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    serve_fails("not encrypted", "--tls-cert", certificate.certificate, "--tls-key", encrypted, capsys=capsys)
