"""Known trouble is recognised in the words of oc, of Python and of the registry."""

from __future__ import annotations

import pytest

from okd_host.mirror import trouble

HOST = "quay.io"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('Get "https://quay.io/v2/": x509: certificate signed by unknown authority', "trust"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate", "trust"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in chain", "trust"),
        ("x509: certificate is valid for other.example, not quay.io", "san"),
        ("x509: cannot validate certificate for 198.51.100.1 because it doesn't contain any IP SANs", "san"),
        ("x509: certificate relies on legacy Common Name field, use SANs instead", "san"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: IP address mismatch, certificate is not", "san"),
        ("x509: certificate has expired or is not yet valid: current time 2020 is before 2026", "clock"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid", "clock"),
        ("write /docker/registry/v2/blobs/data: no space left on device", "full"),
        ("OSError: [Errno 28] No space left on device", "full"),
        ("unauthorized: authentication required", "password"),
        ("denied: requested access to the resource is denied", "password"),
        ("unexpected HTTP status: 403 Forbidden", "password"),
        ("toomanyrequests: You have reached your pull rate limit", "rate"),
        ("received unexpected HTTP status: 429 Too Many Requests", "rate"),
        ("manifest unknown: manifest unknown", "unknown"),
        ("dial tcp: lookup quay.io on 192.0.2.1:53: no such host", "name"),
        ("gaierror: [Errno -2] Name or service not known", "name"),
        ("read tcp 192.0.2.1:4711->198.51.100.1:443: read: connection reset by peer", "dropped"),
        ("unable to copy layer sha256:0: unexpected EOF", "dropped"),
        ("TimeoutError: The read operation timed out", "dropped"),
        ("received unexpected HTTP status: 502 Bad Gateway", "dropped"),
        ("digest invalid: provided digest did not match uploaded content", "content"),
        ("something else", "other"),
    ],
)
def test_every_known_message_has_its_remedy(text: str, kind: str) -> None:
    found = trouble.recognise(text)
    assert found.kind == kind
    failed = trouble.failed("the release cannot be mirrored", text, HOST)
    assert text in failed.message
    assert "{host}" not in failed.remedy + failed.why


@pytest.mark.parametrize("kind", ["dropped", "name", "rate"])
def test_trouble_that_may_pass_is_tried_again(kind: str) -> None:
    assert trouble.named(kind).passing


@pytest.mark.parametrize("kind", ["trust", "san", "clock", "full", "password", "unknown"])
def test_trouble_that_stays_is_not(kind: str) -> None:
    assert not trouble.named(kind).passing


def test_a_number_within_a_digest_is_no_answer_of_a_registry() -> None:
    text = f"sha256:{'a' * 30}404b{'4' * 30}: unexpected EOF"
    assert trouble.recognise(text).kind == "dropped"
