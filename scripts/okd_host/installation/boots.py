"""How far one machine has come on its way through the network boot, as the services' logs tell it.

Owns the stages, what the machine must get at each, and from when on the logs tell of this boot. Does not own waiting.
"""

from __future__ import annotations

from typing import Any, NamedTuple

LEASE, BOOT_FILE, KERNEL, INITRAMFS, REPORT, ROOTFS, IGNITION = (
    "lease",
    "boot file",
    "kernel",
    "initramfs",
    "report",
    "rootfs",
    "ignition",
)


class Progress(NamedTuple):
    """`stage` is the first that has not come (the last one, once `done`); `reached` the last that has, `since` then.

    `detail` is what was seen last, in a reader's words.
    """

    stage: str
    detail: str
    since: float
    done: bool
    reached: str = ""


class Boot:
    """One machine's boot; `document` as in the module `boot_logs`."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def look(self) -> Progress:
        """Where the machine is by now. Never waits."""
        raise NotImplementedError

    def problems(self) -> list[str]:
        """What the machine got that differs from what it must get, as `what: got instead of expected`."""
        raise NotImplementedError

    def table(self) -> str:
        """What the machine got against what it must get."""
        raise NotImplementedError

    def last_word(self) -> str:
        """The last line of the service that the missing stage depends on, if it speaks of this machine."""
        raise NotImplementedError
