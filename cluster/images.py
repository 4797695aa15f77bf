"""References to container images: registry, repository, tag, digest.

Owns their form, and where the mirror registry keeps what a repository of another registry holds. Does not own which
images there are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BeforeValidator

from cluster.logins import HUB, HUB_KEY
from cluster.values import refused, written

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REGISTRY = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)(?::\d{1,5})?|[A-Za-z0-9-]+:\d{1,5}"
FORM = re.compile(
    rf"(?P<registry>{_REGISTRY})/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Reference:
    """One image, or, without tag and digest, one repository."""

    registry: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The reference that `text` is.

        Raises:
            ValueError: it is none, or names no registry.
        """
        found = FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is no reference to an image")
        return cls(**found.groupdict())

    @property
    def repository(self) -> str:
        """Registry and path, as mirror sources name it."""
        return f"{self.registry}/{self.path}"


def in_mirror(repository: str) -> str:
    """The repository of the mirror registry for one of another registry: its path."""
    return Reference.parse(repository).path


def _reference(value: Any, what: str, example: str) -> Reference:
    text = value.strip() if isinstance(value, str) else ""
    try:
        found = Reference.parse(text)
    except ValueError as error:
        raise refused(f"not {what} with its registry, so nothing could be pulled", f"write it as {example}") from error
    if found.registry in (HUB, HUB_KEY) and (found.registry != HUB or "/" not in found.path):
        rest = text.partition("/")[2]
        fix = f"write {HUB}/{rest if '/' in found.path else f'library/{rest}'}"
        raise refused(
            "not the name by which nodes ask for an image of Docker Hub, so they would not find the mirror", fix
        )
    return found


def image(value: Any) -> str:
    """A pull spec: a repository with its registry, and a tag or a digest or both."""
    example = "quay.io/okd/scos-release:4.22.0-okd-scos.7"
    found = _reference(value, "the pull spec of an image", example)
    if found.tag is None and found.digest is None:
        raise refused("neither tag nor digest: which image is meant would change from day to day", f"write {example}")
    return str(value).strip()


def pinned(value: Any) -> str:
    """A pull spec by digest."""
    example = "quay.io/organisation/image@sha256:…"
    if _reference(value, "the pull spec of an image", example).digest is None:
        raise refused(
            "not by digest: nodes ask the mirror registry for digests only, and would look for a tag at its source",
            f"write {example}; `skopeo inspect` shows the digest of a tag",
        )
    return str(value).strip()


def repository(value: Any) -> str:
    """A repository with its registry, without tag or digest."""
    found = _reference(value, "a repository", "quay.io/okd/scos-content")
    if found.tag is not None or found.digest is not None:
        raise refused(
            "a reference, not a repository: the installer refuses it as the source of a mirror",
            f"write {found.repository}",
        )
    return found.repository


def digest(value: Any) -> str:
    """The digest of an image: sha256: and 64 hexadecimal digits."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if not DIGEST.fullmatch(text):
        raise refused(
            "not the digest of an image, so no release could ever match it",
            "write sha256: and the 64 digits that `oc adm release info` shows",
        )
    return text


_NAME = "[A-Za-z0-9-]+"
_PATH = rf"((localhost|{_NAME}(\.{_NAME})+)(:[0-9]+)?|{_NAME}:[0-9]+)(/[a-z0-9._-]+)+"
_PINNED = "@sha256:[0-9a-f]{64}"
Image = Annotated[
    str,
    BeforeValidator(image),
    written("pull spec", rf"^{_PATH}(:[\w.-]+({_PINNED})?|{_PINNED})$", "quay.io/okd/scos-release:4.22.0-okd-scos.7"),
]
PinnedImage = Annotated[str, BeforeValidator(pinned), written("pull spec by digest", rf"^{_PATH}(:[\w.-]+)?{_PINNED}$")]
Repository = Annotated[
    str, BeforeValidator(repository), written("repository", rf"^{_PATH}$", "quay.io/okd/scos-content")
]
Digest = Annotated[str, BeforeValidator(digest), written("digest", "^sha256:[0-9A-Fa-f]{64}$")]
