"""The certificate signing requests of declared machines, and of nobody else.

Owns which request is approved, and approving it. Everything else is left as it is and reported, never denied: it may
be somebody's whose approval is not ours. Does not own how a request is read (csr.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from okd_host.installation.api import Api
from okd_host.installation.rows import Row

PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


class Approved(NamedTuple):
    """A request that was approved: its name, the machine's and what it is for ("client" or "serving")."""

    name: str
    machine: str
    kind: str


class Left(NamedTuple):
    """A request that was left, and why."""

    name: str
    requester: str
    reason: str

    def document(self) -> dict[str, str]:
        """As a result has it."""
        return self._asdict()


class Round(NamedTuple):
    """What one look at the requests came to; `others` are good ones of declared machines that were not looked for."""

    approved: list[Approved]
    left: list[Left]
    others: list[str]


def approve(api: Api, declared: Iterable[Row], *, only: set[str] | None = None) -> Round:
    """Approve every pending request that a declared machine must have made, or of those named in `only`.

    Raises Silent or Refused.
    """
    raise NotImplementedError
