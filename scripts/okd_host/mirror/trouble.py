"""Known trouble on the way from one registry to another: what it is, and what helps.

Owns the words by which oc, Python and the registry call the same trouble, at which server it is, and whether trying
again can help.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from okd_host import report


class Trouble(NamedTuple):
    """One kind of trouble; `remedy` may name {host}, the registry at which it was met."""

    kind: str
    pattern: str
    why: str
    remedy: str
    passing: bool = False


class Unreached(OSError):
    """The server at `host` (with its port, if it has one) cannot be talked to."""

    def __init__(self, host: str, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.host = host


MANY = (
    Trouble(
        "full",
        r"no space left on device|Errno 28|disk quota exceeded",
        "the registry's disk is full",
        "enlarge the registry's data volume (or mirror less); the next run goes on where this stopped",
    ),
    Trouble(
        "clock",
        r"not yet valid|certificate has expired",
        "a certificate is outside its time: expired, or this host's clock is wrong",
        "compare `date` on the services host with the certificate of {host}; set the clock or renew the certificate",
    ),
    Trouble(
        "san",
        r"doesn't contain any IP SANs|not valid for any names|is valid for .*, not |legacy Common Name"
        r"|[Hh]ostname mismatch|IP address mismatch|doesn't match",
        "the certificate of {host} is not made out for that name",
        "name {host} in the settings as its certificate does, or give it a certificate with this name (SAN)",
    ),
    Trouble(
        "trust",
        r"unknown authority|self[- ]signed certificate|unable to get (local )?issuer|CERTIFICATE_VERIFY_FAILED",
        "nobody that this host trusts has signed the certificate of {host}",
        "add the CA of {host} (or of the proxy in between) to release.trustedCertificates in the settings",
    ),
    Trouble(
        "rate",
        r"\b429\b|toomanyrequests|too many requests|rate limit",
        "{host} limits how much it serves at a time",
        "run the update again later: it goes on where this stopped; credentials in release.pullSecret raise the limit",
        passing=True,
    ),
    Trouble(
        "password",
        r"\b401\b|\b403\b|unauthorized|authentication required|denied|forbidden",
        "{host} does not accept the credentials",
        "correct the entry for {host} in release.pullSecret in the settings (the mirror's own comes with `pulumi up`)",
    ),
    Trouble(
        "content",
        r"digest invalid|did not match|does not match|digest mismatch|different digest|another digest",
        "{host} serves content that is not what its digest says",
        "a damaged upstream or a proxy in between: try another source, or mirror from removable media",
        passing=True,
    ),
    Trouble(
        "unknown",
        r"manifest unknown|manifest_unknown|name unknown|blob unknown|\b404\b|not found",
        "{host} does not have it",
        "compare release.image, release.version and release.sources in the settings with what {host} offers",
    ),
    Trouble(
        "name",
        r"no such host|name or service not known|temporary failure in name resolution|no address associated",
        "the name of {host} cannot be resolved",
        "check the resolvers of the services host and its uplink: `getent hosts {host}`",
        passing=True,
    ),
    Trouble(
        "dropped",
        r"connection reset|broken pipe|EOF|timed? ?out|timeout|connection refused|no route|unreachable|IncompleteRead"
        r"|closed connection|Remote end closed|\b50[0234]\b|REFUSED_STREAM|connection aborted",
        "the connection to {host} does not last",
        "check the way to {host}, then run the update again: it goes on where this stopped",
        passing=True,
    ),
)
OTHER = Trouble(
    "other", "", "oc could not copy", "read the message; run the update again: it goes on where this stopped", True
)


def recognise(text: str) -> Trouble:
    """The kind of trouble that `text` speaks of."""
    return next((one for one in MANY if re.search(one.pattern, text, re.IGNORECASE)), OTHER)


def host_in(text: str, places: Sequence[str], besides: str = "") -> str:
    """The server that a message of oc's is about, `besides` another: the first of `places` when it names none.

    A name that is looked up, or the last address in it, says more than the image that was asked for.
    """
    asked = re.findall(r"lookup ([A-Za-z0-9.-]+)(?: on |:)", text) + re.findall(r"https?://([^/\s\"'?]+)", text)[::-1]
    hosts = list(dict.fromkeys(place.partition("/")[0] for place in places))
    known = [host for host in asked if host != besides] + [host for host in hosts if f"{host}/" in text]
    return next((host for host in known if host != besides), hosts[0])


def named(kind: str) -> Trouble:
    """The trouble of that kind."""
    return next(one for one in MANY if one.kind == kind)


def failed(what: str, text: str, host: str, *, trouble: Trouble | None = None, in_service: str = "") -> report.Failed:
    """The failure to raise for `text`, met while doing `what` at `host`."""
    found = trouble or recognise(text)
    return report.Failed(
        f"{what}: {found.why.format(host=host)}",
        message=text,
        in_service=in_service or "what was mirrored before stays in the registry",
        remedy=found.remedy.format(host=host),
    )
