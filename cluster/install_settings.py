"""The installation: what the installer is told, and what the cluster is born with.

Owns the shape and defaults of the section `install`. Does not own the documents made of it (install_config.py,
manifests.py), nor relations to other sections (install_checks.py).
"""

from __future__ import annotations

import base64
import re
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from cluster.project_files import ProjectPath
from cluster.section import Section
from cluster.values import LABEL, Network, Switch, refused, written

SSH_KEY = re.compile(r"(ssh-[a-z0-9-]+|ecdsa-sha2-[a-z0-9-]+|sk-[a-z0-9-]+@openssh\.com) ([A-Za-z0-9+/]+={0,2})( .*)?")
USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
SHORT_RSA_BYTES = 129  # 1024 bits and the sign's byte; RHEL's and CentOS's servers ask for 2048
TAKEN_USERS = ("kubeadmin",)
LONGEST_DOMAIN = 253


def ssh_key(value: Any) -> str:
    """A public SSH key in OpenSSH's form, on one line."""
    text = value.strip() if isinstance(value, str) else ""
    fix = "give the line of the .pub file, e.g. ssh-ed25519 AAAA… you@example.com"
    if "PRIVATE KEY" in text:
        raise refused("a private key: it would be readable on every machine; change it", fix)
    found = SSH_KEY.fullmatch(text)
    try:
        parts = _parts(base64.b64decode(found[2], validate=True)) if found else ()
    except ValueError:
        parts = ()
    # The key names its own kind.
    if found is None or not parts or parts[0] != found[1].encode():
        raise refused("not a public SSH key, so the installer would refuse it", fix)
    if found[1] == "ssh-dss" or (found[1] == "ssh-rsa" and len(parts[-1]) <= SHORT_RSA_BYTES):
        raise refused("too weak a key: the nodes' SSH servers take none of its kind or length", "make one of ed25519")
    return text


def _parts(blob: bytes) -> tuple[bytes, ...]:
    """What a public key consists of: parts after their four-byte lengths. Raises ValueError when it is cut short."""
    parts = []
    while blob:
        end = 4 + int.from_bytes(blob[:4], "big")
        if len(blob) < end:
            raise ValueError("cut short")
        parts.append(blob[4:end])
        blob = blob[end:]
    return tuple(parts)


def proxy_url(value: Any) -> str:
    """The http(s) URL of a proxy."""
    text = value.strip() if isinstance(value, str) else ""
    parts = urlsplit(text)
    try:
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # what is not a number below 65536 is found when it is asked for
        good = False
    if not good or parts.path.strip("/") or parts.query or parts.fragment or re.search(r"\s", text):
        raise refused("not the URL of a proxy, so the installer would refuse it", "write http://192.168.200.8:3128")
    if parts.username is not None:
        raise refused(
            "holds a password, which every user of the cluster could read in its Proxy object",
            "let the proxy admit the cluster network, and write the URL without user and password",
        )
    host = str(parts.hostname)
    if ":" in host:
        raise refused("at an IPv6 address, and the cluster is built on IPv4 alone", "write http://192.168.200.8:3128")
    # The installer takes more; the network operator, which reads it next, would never become available.
    if host not in parts.netloc or not all(LABEL.fullmatch(part) for part in host.split(".")):
        raise refused(
            "its host is none to the cluster's network operator, and the installation would never end",
            "write it in lower-case letters, digits, hyphens and dots",
        )
    return text


def unproxied(value: Any) -> str:
    """What is reached without the proxy: an address, a network, a domain (no dot at its end), or `*` for everything."""
    text = value.strip() if isinstance(value, str) else ""
    if text == "*":
        return text
    fix = "write 10.0.0.0/8, registry.example.com or .example.com (a domain and all below it)"
    if with_port := re.fullmatch(r"([^:/]+):[0-9]*", text):
        raise refused("with a port, which the installer refuses here", f"write {with_port[1]} alone")
    if ":" in text:
        raise refused("of IPv6 or a URL: the cluster is built on IPv4 alone, and hosts stand without a scheme", fix)
    if re.fullmatch(r"[0-9.]+/[0-9]+", text):
        try:
            IPv4Network(text, strict=False)
        except ValueError as error:
            raise refused("no network, so the installer would refuse it", fix) from error
        return text
    # The installer takes a domain's last dot, the network operator does not.
    text = text.removesuffix(".")
    domain = text.removeprefix(".")
    if len(domain) > LONGEST_DOMAIN or not all(LABEL.fullmatch(part) for part in domain.split(".")):
        raise refused(
            "neither an address, a network nor a domain in lower case: the installer knows no wildcards here",
            f"{fix}, each as an item of its own",
        )
    return text


def user_name(value: Any) -> str:
    """A user's name, as a line of an htpasswd file can hold it."""
    text = value.strip() if isinstance(value, str) else ""
    if not USER.fullmatch(text):
        raise refused("not a user's name that a password file can hold", "use letters, digits, dots and hyphens")
    if text in TAKEN_USERS:
        raise refused("the login page takes this name for the installer's own user", "choose another, e.g. admin")
    return text


SshKey = Annotated[
    str,
    BeforeValidator(ssh_key),
    written(
        "public SSH key", r"^(ssh|ecdsa-sha2|sk-\S+)-?\S* [A-Za-z0-9+/]+=*( .*)?$", "ssh-ed25519 AAAA… you@example.com"
    ),
]
ProxyUrl = Annotated[
    str,
    BeforeValidator(proxy_url),
    written("URL of a proxy", r"^https?://[a-z0-9.-]+(:[0-9]*)?/?$", "http://192.168.200.8:3128"),
]
Unproxied = Annotated[
    str,
    BeforeValidator(unproxied),
    written(
        "address, network or domain",
        r"^(\*|\.?[a-z0-9-]+(\.[a-z0-9-]+)*\.?|[0-9.]+/([12]?[0-9]|3[0-2]))$",
        ".example.com",
    ),
]
UserName = Annotated[
    str,
    BeforeValidator(user_name),
    written("user name", r"^(?!kubeadmin$)[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$"),
]
Minutes = Annotated[int, Field(strict=True, ge=1, le=24 * 60)]


class Proxy(Section):
    """The way out of the cluster network, where there is one; a key `no` would be a boolean to YAML."""

    http: ProxyUrl | None = None
    """http:// URL of the proxy for plain HTTP. Default: none"""
    https: ProxyUrl | None = None
    """URL of the proxy for HTTPS. Default: none"""
    no_proxy: tuple[Unproxied, ...] = ()
    """What is reached without it: addresses, networks, domains (.example.com: all below it), or * alone. The cluster's
    own networks and names need not be listed."""


class AdminUser(Section):
    """A user with a password and all rights, for when no other login works."""

    enabled: Switch = True
    """Whether there is such a user."""
    name: UserName = "admin"
    """The name to log in with; the password is a stack output."""


class Ingress(Section):
    """Where the cluster's default ingress runs; ports 443 and 80 of the load balancer lead there."""

    pool: str | None = None
    """The machine pool that it runs on. A running cluster's ingress moves when this changes.
    Default: where it was installed; a new cluster's infra pool when it has one, else compute; the control plane
    where there are no compute machines"""


class Limits(Section):
    """How long, in minutes, is waited: for boots, the API, the control plane, a node, a drain, the operators."""

    boot_minutes: Minutes = 20
    """Minutes until a machine has booted from the network."""
    api_minutes: Minutes = 30
    """Minutes until the bootstrap machine serves the API."""
    bootstrap_minutes: Minutes = 60
    """Minutes until the control plane has taken over from the bootstrap machine."""
    node_minutes: Minutes = 45
    """Minutes until a machine is a node that is Ready."""
    drain_minutes: Minutes = 15
    """Minutes for a node's pods to move elsewhere before its machine is rebuilt or removed."""
    install_minutes: Minutes = 90
    """Minutes until every operator is available and the installation complete."""


class Install(Section):
    """The cluster's own networks, its users, and the manifests that it is installed with."""

    cluster_network: Network = IPv4Network("10.128.0.0/14")
    """The pods' network, of which each node gets a part."""
    host_prefix: Annotated[int, Field(strict=True, ge=8, le=28)] = 23
    """Prefix length of each node's part of clusterNetwork; 23 holds 510 addresses, and a node takes 250 pods."""
    service_network: Network = IPv4Network("172.30.0.0/16")
    """The network of the cluster's services, /12 at most."""
    ssh_keys: tuple[SshKey, ...] = ()
    """Public SSH keys, lines of .pub files, that may log in to the nodes beside the stack's own key."""
    proxy: Proxy | None = None
    """A proxy that the nodes and operators use, at an address inside of network.cidr, or where a network.router of your
    own leads: the services host forwards nothing. Default: none"""
    source_policy: Literal["NeverContactSource", "AllowContactingSource"] | None = None
    """Whether nodes may try a release's own registry when the mirror lacks an image; since release 4.21.
    Default: the product's own, they may; without a way out of the network they cannot"""
    schedulable_control_plane: Literal["auto", True, False] = "auto"
    """Whether pods of users run on the control plane; `auto`: only when there are no compute machines."""
    chrony: Switch = True
    """Whether nodes take their time from the services host."""
    machine_config_pools: Switch = True
    """Whether each pool of compute machines other than `compute` gets a MachineConfigPool of its name."""
    image_registry: Literal["removed", "emptyDir", "default"] = "removed"
    """The cluster's own image registry: `removed`, `emptyDir` (its content is lost with its pod), or the product's
    `default`."""
    samples_operator: Literal["removed", "default"] = "removed"
    """The samples operator, whose images lie outside: `removed`, or the product's `default`."""
    default_catalog_sources: Literal["disabled", "default"] = "disabled"
    """The default operator catalogs, which lie outside: `disabled`, or the product's `default`."""
    admin_user: AdminUser = AdminUser()
    """A user with a password and all rights."""
    ingress: Ingress = Ingress()
    """Where the default ingress runs."""
    ingress_certificate: Switch = True
    """Whether the ingress gets a certificate of the stack's authority."""
    release_signature: Switch = True
    """Whether the release's signature is put into the cluster, where one was found, so that updates can verify it."""
    manifests: ProjectPath | None = None
    """A directory on the machine that runs Pulumi with further manifests, in any form that `oc apply -f` takes.
    Default: none"""
    keep_bootstrap: Switch = False
    """Whether the bootstrap machine is kept, switched off, once the cluster stands."""
    limits: Limits = Limits()
    """How long is waited before a step counts as failed."""
