"""The release: which one, where it comes from, and how it is mirrored.

Owns the shape and defaults of the section `release`. Does not own the cluster that is made of it
(install_settings.py), nor relations to other sections (release_checks.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field

from cluster.images import Digest, Image, PinnedImage, Reference, Repository
from cluster.project_files import ProjectPath
from cluster.pull_secret import PullSecret
from cluster.section import Section
from cluster.values import AbsolutePath, Sha256, Url, refused
from cluster.versions import Version

DEFAULT_VERSION = "4.22.0-okd-scos.7"
SCOS_REPOSITORY, FCOS_REPOSITORY = "quay.io/okd/scos-release", "quay.io/openshift/okd"
CLIENT = "https://github.com/okd-project/okd/releases/download/{version}/openshift-client-linux-{version}.tar.gz"


def _version(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    try:
        return Version.parse(text).text
    except ValueError as error:
        raise refused(
            "no version of an OKD release, so neither its images nor its tools could be found",
            f"write it in full and in quotes, as {DEFAULT_VERSION}",
        ) from error


VersionText = Annotated[str, BeforeValidator(_version)]


class Client(Section):
    """The archive with the first `oc`; without a SHA-256 the `sha256sum.txt` beside it counts."""

    location: Url | None = None
    sha256: Sha256 | None = None


class OperatorCatalog(Section):
    """An operator catalog to mirror, and which of its packages; none means the newest of all of them."""

    catalog: Image
    packages: tuple[Annotated[str, Field(min_length=1)], ...] = ()


class Release(Section):
    """The release; what is not given follows from what is."""

    image: Image | None = None
    version: VersionText | None = None
    digest: Digest | None = None
    architecture: Literal["x86_64", "aarch64"] = "x86_64"
    sources: tuple[Repository, ...] = ()
    pull_secret: PullSecret | None = None
    trusted_certificates: tuple[ProjectPath, ...] = ()
    client: Client = Client()
    engine: Literal["oc", "oc-mirror"] = "oc"
    attempts: Annotated[int, Field(strict=True, ge=1, le=50)] = 5
    additional_images: tuple[PinnedImage, ...] = ()
    operator_catalogs: tuple[OperatorCatalog, ...] = ()
    media: AbsolutePath | None = None

    def complete(self) -> Self:
        """The release with its defaults filled in; without a version where the settings do not tell which it is."""
        version, image = self.version, self.image
        if image is None:
            version = version or DEFAULT_VERSION
            image = f"{SCOS_REPOSITORY if Version.parse(version).scos else FCOS_REPOSITORY}:{version}"
        found = Reference.parse(image)
        version = version or tag_version(found)
        client = self.client
        if client.location is None and version is not None:
            client = client.model_copy(update={"location": CLIENT.format(version=version)})
        return self.model_copy(
            update={
                "image": image,
                "version": version,
                "digest": self.digest or found.digest,
                "sources": self.sources or _sources(found),
                "client": client,
            }
        )

    @property
    def reference(self) -> Reference:
        """The release image of complete settings."""
        assert self.image is not None
        return Reference.parse(self.image)

    @property
    def okd(self) -> Version:
        """The version of complete settings."""
        assert self.version is not None
        return Version.parse(self.version)


def tag_version(image: Reference) -> str | None:
    """The version that a release image's tag names, if it does."""
    try:
        return Version.parse(image.tag or "").text
    except ValueError:
        return None


def _sources(image: Reference) -> tuple[str, ...]:
    """The release's repository and its payload's, where the former's name tells the latter's."""
    repository = image.repository
    if repository == FCOS_REPOSITORY:
        return (repository, f"{FCOS_REPOSITORY}-content")
    if repository.endswith("/scos-release"):
        return (repository, f"{repository.removesuffix('release')}content")
    return ()
