"""Which certificate signing requests are approved: those of declared machines, word for word, and nothing else."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.installation.conftest import Agent
from tests.installation.fake_api import DOMAIN, REQUESTS, FakeApi

CLIENT, SERVING = "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"
BOOTSTRAPPER = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper"
BOOTSTRAPPER_GROUPS = [
    "system:serviceaccounts",
    "system:serviceaccounts:openshift-machine-config-operator",
    "system:authenticated",
]
FQDN, ADDRESS = f"compute-0.{DOMAIN}", "192.168.200.20"
USER = f"system:node:{FQDN}"
KEY = ec.generate_private_key(ec.SECP256R1())
Oid = x509.ObjectIdentifier


def rows(agent: Agent) -> list[Any]:
    given = [("compute-0", "compute", ADDRESS), ("compute-1", "compute", "192.168.200.21")]
    given += [("bootstrap", "bootstrap", "192.168.200.9")]
    return [
        agent.load("installation.rows").Row(name, f"{name}.{DOMAIN}", role, address, f"52:54:00:00:00:0{number}")
        for number, (name, role, address) in enumerate(given)
    ]


def pem(
    common_name: str = USER,
    organizations: list[str] | None = None,
    names: list[x509.GeneralName] | None = None,
    more: list[tuple[Oid, str]] | None = None,
    extra: x509.ExtensionType | None = None,
) -> bytes:
    """A request as `cryptography` writes it, by default a kubelet's for its client certificate."""
    attributes = [(NameOID.ORGANIZATION_NAME, one) for one in organizations or ["system:nodes"]]
    attributes += [(NameOID.COMMON_NAME, common_name), *(more or [])]
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(kind, text, _validate=False) for kind, text in attributes])
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    if extra:
        builder = builder.add_extension(extra, False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def dns(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(name) for name in names]


def address(text: str) -> list[x509.GeneralName]:
    return [x509.IPAddress(ipaddress.ip_address(text))]


def client(content: bytes | None = None, **other: Any) -> dict[str, Any]:
    """What a new machine files first."""
    good = {
        "pem": content or pem(),
        "signer": CLIENT,
        "user": BOOTSTRAPPER,
        "groups": BOOTSTRAPPER_GROUPS,
        "usages": ["digital signature", "client auth"],
    }
    return good | other


def serving(content: bytes | None = None, **other: Any) -> dict[str, Any]:
    """What its node files next."""
    good = {
        "pem": content or pem(names=[*dns(FQDN), *address(ADDRESS)]),
        "signer": SERVING,
        "user": USER,
        "groups": ["system:nodes", "system:authenticated"],
        "usages": ["digital signature", "server auth"],
    }
    return good | other


GOOD: dict[str, Callable[[], dict[str, Any]]] = {
    "client": client,
    "client, RSA usages": lambda: client(usages=["key encipherment", "digital signature", "client auth"]),
    "serving": serving,
    "serving, by address alone": lambda: serving(pem(names=address(ADDRESS))),
    "serving, by name alone": lambda: serving(pem(names=dns(FQDN))),
    "serving, with the short name": lambda: serving(pem(names=[*dns("compute-0", FQDN), *address(ADDRESS)])),
}

FOREIGN: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "undeclared name": (lambda: client(pem(f"system:node:compute-9.{DOMAIN}")), "no declared machine"),
    "the bootstrap machine": (lambda: client(pem(f"system:node:bootstrap.{DOMAIN}")), "no declared machine"),
    "a name that begins with a declared one": (lambda: client(pem(f"{USER}.evil")), "no declared machine"),
    "a declared name in capitals": (lambda: client(pem(USER.upper())), "no declared machine"),
    "a short name": (lambda: client(pem("system:node:compute-0")), "no declared machine"),
    "no node at all": (lambda: client(pem(FQDN)), "no declared machine"),
    "an administrator": (lambda: client(pem("system:admin", ["system:masters"])), "no declared machine"),
    "declared name, masters' group": (lambda: client(pem(organizations=["system:masters"])), "organizations"),
    "declared name, a group more": (
        lambda: client(pem(organizations=["system:nodes", "system:masters"])),
        "organizations",
    ),
    "declared name, group twice": (
        lambda: client(pem(organizations=["system:nodes", "system:nodes"])),
        "organizations",
    ),
    "another common name behind the first": (
        lambda: client(pem(more=[(NameOID.COMMON_NAME, "system:admin")])),
        "more than one common name",
    ),
    "an organizational unit": (
        lambda: client(pem(more=[(NameOID.ORGANIZATIONAL_UNIT_NAME, "x")])),
        "more than a kubelet does",
    ),
    "client with alternative names": (lambda: client(pem(names=dns(FQDN))), "alternative names"),
    "client for a server": (lambda: client(usages=["digital signature", "client auth", "server auth"]), "usages"),
    "client without its usage": (lambda: client(usages=["digital signature"]), "usages"),
    "client that signs certificates": (lambda: client(usages=["client auth", "cert sign"]), "usages"),
    "client, other signer": (lambda: client(signer="kubernetes.io/kube-apiserver-client"), "signer"),
    "client, legacy signer": (lambda: client(signer="kubernetes.io/legacy-unknown"), "signer"),
    "client, other requester": (lambda: client(user="system:serviceaccount:default:default"), "its requester"),
    "client, filed by an administrator": (
        lambda: client(user="system:admin", groups=["system:masters", "system:authenticated"]),
        "its requester",
    ),
    "client, renewed by the node": (lambda: client(user=USER, groups=["system:nodes"]), "renews"),
    "client, requester in other groups": (
        lambda: client(groups=[*BOOTSTRAPPER_GROUPS, "system:masters"]),
        "groups",
    ),
    "client, requester not in its groups": (lambda: client(groups=["system:authenticated"]), "groups"),
    "serving with a foreign name": (
        lambda: serving(pem(names=[*dns(FQDN, f"api.{DOMAIN}"), *address(ADDRESS)])),
        "names of others",
    ),
    "serving with another machine's name": (
        lambda: serving(pem(names=dns(FQDN, f"compute-1.{DOMAIN}"))),
        "names of others",
    ),
    "serving with a wildcard": (lambda: serving(pem(names=dns(FQDN, f"*.{DOMAIN}"))), "names of others"),
    "serving with a foreign address": (
        lambda: serving(pem(names=[*dns(FQDN), *address("192.168.200.254")])),
        "names of others",
    ),
    "serving with its address written in IPv6": (
        lambda: serving(pem(names=[*dns(FQDN), *address(f"::ffff:{ADDRESS}")])),
        "names of others",
    ),
    "serving with a name of localhost": (lambda: serving(pem(names=dns(FQDN, "localhost"))), "names of others"),
    "serving with a URI": (
        lambda: serving(pem(names=[*dns(FQDN), x509.UniformResourceIdentifier("spiffe://x")])),
        "URI",
    ),
    "serving with an e-mail address": (lambda: serving(pem(names=[*dns(FQDN), x509.RFC822Name("a@b.c")])), "e-mail"),
    "serving without names": (lambda: serving(pem()), "neither"),
    "serving by its short name alone": (lambda: serving(pem(names=dns("compute-0"))), "neither"),
    "serving, filed by another node": (
        lambda: serving(user=f"system:node:compute-1.{DOMAIN}"),
        "not the node itself",
    ),
    "serving, filed by the bootstrapper": (
        lambda: serving(user=BOOTSTRAPPER, groups=BOOTSTRAPPER_GROUPS),
        "not the node itself",
    ),
    "serving, requester in other groups": (
        lambda: serving(groups=["system:nodes", "system:authenticated", "system:masters"]),
        "groups",
    ),
    "serving for a client": (lambda: serving(usages=["server auth", "client auth"]), "usages"),
    "serving without its usage": (lambda: serving(usages=["digital signature"]), "usages"),
    "serving, masters' group": (
        lambda: serving(pem(organizations=["system:masters"], names=dns(FQDN))),
        "organizations",
    ),
    "serving with an extension more": (
        lambda: serving(pem(names=dns(FQDN), extra=x509.BasicConstraints(True, None))),
        "cannot be read",
    ),
    "an authority's request": (lambda: client(pem(extra=x509.BasicConstraints(True, None))), "cannot be read"),
    "no request": (lambda: client(b"hello"), "cannot be read"),
    "two requests": (lambda: client(pem() + pem()), "cannot be read"),
    "a text before the request": (lambda: client(b"Subject: CN=x\n" + pem()), "cannot be read"),
}


def approve(agent: Agent, api: FakeApi, **options: Any) -> Any:
    own = agent.load("installation.api").Api.of(api.where)
    pulse = options.pop("pulse", None) or agent.load("installation.leases").Pulse()
    return agent.load("installation.approver").approve(own, rows(agent), pulse, **options)


@pytest.mark.parametrize("case", GOOD)
def test_the_request_of_a_declared_machine_is_approved(agent: Agent, api: FakeApi, case: str) -> None:
    api.request("csr-a", **GOOD[case]())
    found = approve(agent, api)
    assert api.approval("csr-a") == "Approved OkdLibvirtApproved"
    assert [(one.name, one.machine, one.kind) for one in found.approved] == [
        ("csr-a", "compute-0", case.partition(",")[0])
    ]
    assert not found.left


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_request_is_left_and_reported_with_its_reason(agent: Agent, api: FakeApi, case: str) -> None:
    make, reason = FOREIGN[case]
    request = make()
    api.request("csr-f", **request)
    found = approve(agent, api)
    assert api.approval("csr-f") == ""
    assert api.changes() == []
    assert not found.approved
    assert [(one.name, one.requester) for one in found.left] == [("csr-f", request["user"])]
    assert reason in found.left[0].reason


def test_a_foreign_request_does_not_keep_a_good_one_waiting(agent: Agent, api: FakeApi) -> None:
    api.request("csr-1", **client(pem("system:node:x")))
    api.request("csr-2", **client())
    approve(agent, api)
    assert (api.approval("csr-1"), api.approval("csr-2")) == ("", "Approved OkdLibvirtApproved")


def test_a_new_client_certificate_is_not_for_a_node_that_is_ready(agent: Agent, api: FakeApi) -> None:
    api.node("compute-0", uuid="a")
    api.request("csr-a", **client())
    assert "is Ready already" in approve(agent, api).left[0].reason
    with api.change(f"/api/v1/nodes/{FQDN}") as node:
        node["status"]["conditions"][0]["status"] = "Unknown"
    assert approve(agent, api).approved
    api.request("csr-s", **serving())
    with api.change(f"/api/v1/nodes/{FQDN}") as node:
        node["status"]["conditions"][0]["status"] = "True"
    assert approve(agent, api).approved[0].kind == "serving"


def test_a_node_that_was_shut_down_for_its_rebuilding_is_not_taken_for_ready(agent: Agent, api: FakeApi) -> None:
    api.node("compute-0", uuid="a", boot="b1")
    with api.change(f"/api/v1/nodes/{FQDN}") as node:
        node["metadata"]["annotations"] = {"okd-libvirt/cordoned": "off b1"}
    api.request("csr-a", **client())
    assert approve(agent, api).approved


def test_a_node_that_merely_reads_ready_is_let_in_once_it_was_watched_and_gave_no_sign_of_life(
    agent: Agent, api: FakeApi
) -> None:
    """After a long outage every Node reads Ready out of etcd, and asks for the certificate that has run out."""
    api.node("compute-0", uuid="a")
    api.lease("compute-0", age=3 * 86400)
    api.request("csr-a", **client())
    pulse = agent.load("installation.leases").Pulse()
    left = approve(agent, api, pulse=pulse).left
    assert "whether it lives is not known yet" in left[0].reason
    agent.waits("LEASE", 0)
    assert approve(agent, api, pulse=pulse).approved


def test_a_node_whose_clock_is_wrong_lives_when_its_lease_is_renewed(agent: Agent, api: FakeApi) -> None:
    api.node("compute-0", uuid="a")
    api.lease("compute-0", age=3 * 86400)
    api.request("csr-a", **client())
    pulse = agent.load("installation.leases").Pulse()
    approve(agent, api, pulse=pulse)
    api.lease("compute-0", age=3 * 86400 - 10)
    assert "is Ready already" in approve(agent, api, pulse=pulse).left[0].reason


def test_only_the_machines_that_are_looked_for_are_approved(agent: Agent, api: FakeApi) -> None:
    api.request("csr-0", **client())
    api.request("csr-1", **client(pem(f"system:node:compute-1.{DOMAIN}")))
    found = approve(agent, api, only={"compute-1"})
    assert [one.machine for one in found.approved] == ["compute-1"]
    assert found.others == ["csr-0"]
    assert not found.left
    assert api.approval("csr-0") == ""


def test_a_request_that_was_decided_is_not_touched_again(agent: Agent, api: FakeApi) -> None:
    for name, kind in (("csr-d", "Denied"), ("csr-f", "Failed"), ("csr-a", "Approved")):
        api.request(name, **client())
        with api.change(f"{REQUESTS}/{name}") as request:
            request["status"] = {"conditions": [{"type": kind, "reason": "ByHand"}]}
    api.request("csr-c", **client())
    with api.change(f"{REQUESTS}/csr-c") as request:
        request["status"] = {"certificate": "eA=="}
    found = approve(agent, api)
    assert (found.approved, found.left, api.changes()) == ([], [], [])


def test_a_request_that_was_replaced_after_it_was_judged_is_not_approved(agent: Agent, api: FakeApi) -> None:
    api.request("csr-a", **client())

    def replace(method: str, path: str) -> None:
        if (method, path) == ("GET", REQUESTS):
            api.request("csr-a", **client(pem("system:node:evil")))

    api.after.append(replace)
    assert not approve(agent, api).approved
    assert api.approval("csr-a") == ""


def test_nothing_that_a_requester_wrote_breaks_the_lines_of_the_report(agent: Agent, api: FakeApi) -> None:
    api.request("csr-a", **client(pem("system:node:x\n  remedy: \x1b[31mrun this"), user="a\nb"))
    left = approve(agent, api).left[0]
    assert (left.requester + left.reason).isprintable()


def test_an_api_that_forbids_approving_is_told_from_a_request_that_vanished(agent: Agent, api: FakeApi) -> None:
    api.request("csr-a", **client())
    api.refuse["PUT", f"{REQUESTS}/csr-a/approval"] = 403
    with pytest.raises(agent.load("installation.api").Refused, match="403"):
        approve(agent, api)
    api.refuse["PUT", f"{REQUESTS}/csr-a/approval"] = 404
    assert not approve(agent, api).approved


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=16)
LABEL = st.from_regex(r"[a-z0-9*-]{1,20}(\.[a-z0-9-]{1,20}){0,3}", fullmatch=True)
ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(TEXT, st.lists(TEXT, min_size=1, max_size=3), st.lists(LABEL, max_size=4), st.lists(ADDRESSES, max_size=3))
def test_what_is_read_is_what_was_asked_for(
    agent: Agent, common_name: str, organizations: list[str], labels: list[str], addresses: list[Any]
) -> None:
    names: list[x509.GeneralName] = [*dns(*labels), *(x509.IPAddress(one) for one in addresses)]
    found = agent.load("installation.csr").parse(pem(common_name, organizations, names))
    assert found.common_name == common_name
    assert found.organizations == tuple(organizations)
    assert found.dns == tuple(labels)
    assert found.addresses == tuple(str(one) for one in addresses)
    assert found.others == ()


WHOLE = base64.b64decode("".join(pem(names=[*dns(FQDN), *address(ADDRESS)]).decode().splitlines()[1:-1]))


def wrapped(content: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE REQUEST-----\n%s-----END CERTIFICATE REQUEST-----\n" % base64.encodebytes(content)


@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_damaged_bytes_are_refused_or_read_as_another_reader_reads_them(
    agent: Agent, changes: list[tuple[int, int]]
) -> None:
    der = bytearray(WHOLE)
    for at, byte in changes:
        der[at] = byte
    try:
        found = agent.load("installation.csr").parse(wrapped(bytes(der)))
    except ValueError:
        return
    try:
        other = x509.load_der_x509_csr(bytes(der))
        subject = {(one.oid.dotted_string, one.value) for one in other.subject}
        names = other.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        strings = names.get_values_for_type(x509.DNSName)
    except (ValueError, x509.ExtensionNotFound, x509.UnsupportedGeneralNameType):
        return  # It has no such request to sign then.
    common_names = [("2.5.4.3", found.common_name)] if found.common_name else []
    expected = {*common_names, *(("2.5.4.10", one) for one in found.organizations)}
    assert {pair for pair in subject if pair[0] in ("2.5.4.3", "2.5.4.10")} == expected
    assert tuple(strings) == found.dns
    assert tuple(str(one) for one in names.get_values_for_type(x509.IPAddress)) == found.addresses


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.binary(max_size=200), st.integers(0, len(WHOLE) - 1).map(lambda end: WHOLE[:end])))
def test_bytes_that_are_no_request_are_refused_and_nothing_worse(agent: Agent, content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        agent.load("installation.csr").parse(wrapped(content))


def der(tag: int, *parts: bytes) -> bytes:
    """One element; for contents below 16 KiB."""
    content = b"".join(parts)
    size = len(content)
    head = bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + head + content


ORG, CN, SAN, EXTENSIONS = b"\x55\x04\x0a", b"\x55\x04\x03", b"\x55\x1d\x11", b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"


def attribute(kind: bytes, text: bytes, tag: int = 0x0C) -> bytes:
    """A part of a subject."""
    return der(0x31, der(0x30, der(0x06, kind), der(tag, text)))


def extension(kind: bytes, *names: bytes, critical: bytes = b"") -> bytes:
    return der(0x30, der(0x06, kind), critical, der(0x04, der(0x30, *names)))


def wanted(*extensions: bytes) -> bytes:
    """The attribute of a request that asks for extensions."""
    return der(0x30, der(0x06, EXTENSIONS), der(0x31, der(0x30, *extensions)))


SUBJECT = attribute(ORG, b"system:nodes") + attribute(CN, USER.encode())
NAME = der(0x82, FQDN.encode())
ALGORITHM, SIGNATURE = der(0x30, der(0x06, b"\x2a")), der(0x03, b"\0sig")


def made(
    subject: bytes = SUBJECT,
    attributes: bytes = b"",
    *,
    version: bytes = b"\0",
    more: bytes = b"",
    outer: bytes = b"",
    name: int = 0x30,
) -> bytes:
    """A request whose every byte is the test's."""
    key = der(0x30, ALGORITHM, der(0x03, b"\0key"))
    info = der(0x30, der(0x02, version), der(name, subject), key, der(0xA0, attributes), more)
    return der(0x30, info, ALGORITHM, SIGNATURE, outer)


def test_a_request_by_hand_is_read_as_well(agent: Agent) -> None:
    critical = der(0x01, b"\xff")
    parse = agent.load("installation.csr").parse
    for content in (wanted(extension(SAN, NAME)), wanted(extension(SAN, NAME, critical=critical))):
        found = parse(wrapped(made(attributes=content)))
        assert (found.common_name, found.organizations, found.dns) == (USER, ("system:nodes",), (FQDN,))
    both = der(0x31, *(attribute(kind, text)[2:] for kind, text in ((ORG, b"system:nodes"), (CN, USER.encode()))))
    assert parse(wrapped(made(both))).common_name == USER


@pytest.mark.parametrize(
    ("why", "content"),
    [
        ("2 elements", WHOLE + b"\0\0"),
        ("2 elements", made() + made()),
        ("not DER", b"\x30\x80" + WHOLE[4:] + b"\0\0"),
        ("not DER", b"\x30\x83\0" + WHOLE[2:4] + WHOLE[4:]),
        ("version", made(version=b"\1")),
        ("5 elements", made(more=der(0xA1))),
        ("4 elements", made(outer=der(0x05))),
        ("instead of 0x30", made(name=0x31)),
        ("instead of 0x31", made(SUBJECT + der(0x30, der(0x30, der(0x06, ORG), der(0x0C, b"x"))))),
        ("an empty part", made(SUBJECT + der(0x31))),
        ("no pair", made(SUBJECT + der(0x31, der(0x30, der(0x06, ORG))))),
        ("more than one common name", made(SUBJECT + attribute(CN, b"system:admin"))),
        ("neither UTF-8 nor", made(SUBJECT + attribute(ORG, b"\0x", 0x1E))),
        ("neither UTF-8 nor", made(SUBJECT + attribute(ORG, b"a@b", 0x13))),
        ("identifier that is not DER", made(SUBJECT + attribute(b"\x55\x80\x04\x0a", b"x"))),
        ("identifier that is cut short", made(SUBJECT + attribute(b"\x55\x84", b"x"))),
        ("long tag", made(SUBJECT + b"\x1f\x01\x00")),
        ("attributes other", made(attributes=wanted(extension(SAN, NAME)) * 2)),
        ("attributes other", made(attributes=der(0x30, der(0x06, b"\x2a"), der(0x31)))),
        ("2 elements", made(attributes=der(0x30, der(0x06, EXTENSIONS), der(0x31, der(0x30), der(0x30))))),
        ("exactly one extension", made(attributes=wanted())),
        ("exactly one extension", made(attributes=wanted(extension(SAN, NAME), extension(SAN, NAME)))),
        ("other than alternative names", made(attributes=wanted(extension(b"\x55\x1d\x12", NAME)))),
        ("other than alternative names", made(attributes=wanted(extension(SAN, NAME, critical=der(0x01, b"\1"))))),
        ("no known kind", made(attributes=wanted(extension(SAN, der(0x83, b"x"))))),
        ("no known kind", made(attributes=wanted(extension(SAN, der(0x87, b"\xc0\xa8\xc8"))))),
        ("ascii", made(attributes=wanted(extension(SAN, der(0x82, b"compute-0\xc3\xa4"))))),
    ],
)
def test_what_another_reader_might_take_otherwise_is_refused(agent: Agent, why: str, content: bytes) -> None:
    with pytest.raises(ValueError, match=why):
        agent.load("installation.csr").parse(wrapped(content))
