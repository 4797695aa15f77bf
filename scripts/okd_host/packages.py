"""packages: install what is missing from the distribution, without starting any daemon.

Document: {"manager": "apt" | "dnf", "names": [...]}.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from okd_host import apt, commands, files, limits, report

POLICY = "/usr/sbin/policy-rc.d"
POLICY_TEXT = "#!/bin/sh\n# okd-libvirt: daemons start once they are configured\nexit 101\n"
APT_LOCK = f"-oDPkg::Lock::Timeout={limits.PACKAGES.seconds:.0f}"
APT_INSTALL = ("apt-get", "install", "-qq", "-y", "--no-install-recommends")
APT_PLAIN = "-oDpkg::Use-Pty=0"
APT_KEEP = ("-oDpkg::Options::=--force-confdef", "-oDpkg::Options::=--force-confold")


def _manager() -> str:
    return "apt" if shutil.which("apt-get") else "dnf"


def missing(manager: str, names: Sequence[str]) -> list[str]:
    """Those of `names` that are not completely installed."""
    if manager == "apt":
        result = commands.run(["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Abbrev}\\n", *names])
        installed = {line.split()[0] for line in result.output.splitlines() if line.split()[1:] == ["ii"]}
        return [name for name in names if name not in installed]
    result = commands.run(["rpm", "--query", "--queryformat", "%{NAME}\\n", "--whatprovides", *names])
    return [name for name in names if f"no package provides {name}" in result.output.splitlines()]


@contextmanager
def _nothing_starts() -> Iterator[None]:
    """Debian's maintainer scripts start no daemon meanwhile; a policy of somebody else is left alone."""
    try:
        with open(POLICY) as file:
            foreign = file.read() != POLICY_TEXT
    except FileNotFoundError:
        foreign = False
    if foreign:
        yield
        return
    files.write_now(POLICY, POLICY_TEXT.encode(), mode=0o755)
    try:
        yield
    finally:
        os.unlink(POLICY)


def _dnf(argv: Sequence[str], what: str, stages: report.Stages) -> commands.Result:
    return commands.run(argv, limit=limits.PACKAGES.seconds, heartbeat=lambda: stages.waiting(what))


def _must(result: commands.Result, what: str) -> None:
    if result.code:
        raise report.Failed(
            f"{what} failed (exit {result.code})",
            message=result.output,
            in_service="what was installed before; no daemon was started",
            remedy="check the way to the package sources (uplink, resolvers), then run the update again",
        )


def _apt(names: Sequence[str], stages: report.Stages) -> None:
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    steps = {
        # Ends what a killed installation left; nothing to do otherwise.
        "dpkg --configure -a": ["dpkg", "--configure", "-a", "--force-confdef", "--force-confold"],
        "apt-get update": ["apt-get", "update", "-q", APT_LOCK],
        f"installation of {', '.join(names)}": [*APT_INSTALL, APT_LOCK, APT_PLAIN, *APT_KEEP, *names],
    }
    # The policy is one file for all: two installations at once would take it away from each other.
    with files.lock("packages", "packages", wait=limits.PACKAGES.seconds), apt.quiet(), _nothing_starts():
        for what, argv in steps.items():
            _must(apt.run(argv, what, stages), what)


def ensure(names: Sequence[str], stages: report.Stages, *, manager: str = "", quiet: bool = False) -> None:
    """Install those of `names` that are missing; `quiet` says nothing when none is. Raises Failed."""
    if not names:
        return
    manager = manager or _manager()
    absent = missing(manager, names)
    if quiet and not absent:
        return
    with stages("packages"):
        if absent:
            report.say(f"  to install: {', '.join(absent)}")
        if absent and manager == "apt":
            _apt(absent, stages)
        elif absent:
            what = f"installation of {', '.join(absent)}"
            _must(_dnf(["dnf", "install", "-q", "-y", "--setopt=install_weak_deps=False", *absent], what, stages), what)
        still = missing(manager, absent) if absent else []
        if still:
            raise report.Failed(
                f"still not installed: {', '.join(still)}", remedy="look for them in the package sources"
            )
        stages.detail = f"{len(names) - len(absent)} of {len(names)} already installed, {len(absent)} installed now"


def main(arguments: list[str], document: Any) -> None:
    """Install the packages of `document`."""
    if document.get("manager") not in ("apt", "dnf"):
        raise report.Failed(f"unknown package manager {document.get('manager')!r}", remedy="use apt or dnf")
    ensure(document["names"], report.Stages(["packages"]), manager=document["manager"])
