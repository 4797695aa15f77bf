"""Versions of OKD releases and their order: 4.15.0-0.okd-2024-03-10-010116 < 4.19.0-okd-scos.2 < 4.19.0-okd-scos.15.

Owns their form and their order (semantic versioning's, as the release tools have it), and what changed with which
release. Does not own which release a stack installs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Self

FORM = re.compile(r"(\d+)\.(\d+)\.(\d+)-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)")

# Since these releases the installer knows imageDigestSources, additionalTrustBundlePolicy and sourcePolicy.
DIGEST_SOURCES, TRUST_POLICY, SOURCE_POLICY = (4, 14), (4, 13), (4, 21)
# Since these releases nodes run CentOS Stream CoreOS, cannot start from Fedora CoreOS, and the installer names an image
# that they can start from.
SCOS, SCOS_ONLY, SCOS_NAMED = (4, 16), (4, 17), (4, 19)


@total_ordering
@dataclass(frozen=True)
class Version:
    """One release's version; `text` is how it is written."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The version that `text` is.

        Raises:
            ValueError: it is none of an OKD release.
        """
        found = FORM.fullmatch(text)
        if found is None or "okd" not in found[4]:
            raise ValueError(f"{text} is no version of an OKD release")
        return cls(text)

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor number."""
        major, minor, *_ = self._parts
        return int(major), int(minor)

    @property
    def scos(self) -> bool:
        """Whether the release is built on CentOS Stream CoreOS, as its name says."""
        return "scos" in self._parts[3]

    def since(self, release: tuple[int, int]) -> bool:
        """Whether this is a release of that major and minor number or of a later one."""
        return self.release >= release

    def __lt__(self, other: Version) -> bool:
        return self._order < other._order

    @property
    def _parts(self) -> tuple[str, ...]:
        found = FORM.fullmatch(self.text)
        assert found is not None
        return found.groups()

    @property
    def _order(self) -> tuple[tuple[int, ...], tuple[tuple[bool, int, str], ...]]:
        *numbers, suffix = self._parts
        identifiers = suffix.split(".")
        return tuple(map(int, numbers)), tuple(
            (not one.isdigit(), int(one) if one.isdigit() else 0, one) for one in identifiers
        )
