"""The release: which one, where it comes from, and how it is mirrored.

Owns the shape and defaults of the section `release`. Does not own the cluster that is made of it
(install_settings.py), nor relations to other sections (release_checks.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field

from cluster.architectures import Architecture
from cluster.images import Digest, Image, PinnedImage, Reference, Repository
from cluster.places import AbsolutePath, Url
from cluster.project_files import ProjectPath
from cluster.pull_secret import PullSecret
from cluster.section import Section
from cluster.values import (
    Sha256,
    refused,
    written,
)
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


VersionText = Annotated[
    str,
    BeforeValidator(_version),
    written("OKD version", r"^[0-9]+\.[0-9]+\.[0-9]+-[0-9A-Za-z.-]*okd[0-9A-Za-z.-]*$", DEFAULT_VERSION),
]


class Client(Section):
    """The archive with the first `oc`; without a SHA-256 the `sha256sum.txt` beside it counts."""

    location: Url | None = None
    """http(s) URL of openshift-client-linux-….tar.gz, without a login in it. Default: the one of the release on OKD's
    own release page"""
    sha256: Sha256 | None = None
    """The archive's SHA-256. Default: what the sha256sum.txt beside it says"""


class OperatorCatalog(Section):
    """An operator catalog to mirror, and which of its packages; none means the newest of all of them."""

    catalog: Image
    """The catalog's pull spec."""
    packages: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Names of its packages to mirror. Default: the newest of every package"""


class Release(Section):
    """The release; what is not given follows from what is."""

    image: Image | None = None
    """The release image's pull spec, by tag or digest. Default: OKD's own of release.version"""
    version: VersionText | None = None
    """The version in full, in quotes. Default: the one that the image's tag tells, else 4.22.0-okd-scos.7"""
    digest: Digest | None = None
    """Pins the release. Default: the image's own digest, else the tag's when it is first mirrored"""
    architecture: Architecture = "x86_64"
    """The machines' architecture, for which image and tools are taken. aarch64 is refused as long as there is no boot
    loader for its firmware."""
    sources: tuple[Repository, ...] = ()
    """Repositories that the payload's images are named by: nodes look for them in the mirror registry.
    Default: the image's repository and the one of its content, where the former's name tells the latter's. What
    a mirror of OKD's release names its images by is known and need not be listed"""
    pull_secret: PullSecret | None = None
    """JSON text for registries that ask for a login, as `podman login --authfile` writes it, and for servers of
    release.client and bootImage that do (under host, or host:port; https only), kept encrypted:
    `pulumi config set --secret --path okd-libvirt:release.pullSecret "$(cat pull-secret.json)"`. Default: none"""
    trusted_certificates: tuple[ProjectPath, ...] = ()
    """PEM files on the machine that runs Pulumi, of authorities that registries, proxies and download servers are
    signed by; an issuing authority is enough. services.image alone is fetched by that machine's own trust store."""
    client: Client = Client()
    """The archive with the first `oc`, with which the release is mirrored."""
    engine: Literal["oc", "oc-mirror"] = "oc"
    """What mirrors: `oc adm release mirror`, or oc-mirror, whose program has to lie in /usr/local/bin of the services
    host and which takes operator catalogs too."""
    attempts: Annotated[int, Field(strict=True, ge=1, le=50)] = 5
    """How often a mirroring that failed is taken up again."""
    additional_images: tuple[PinnedImage, ...] = ()
    """Further images to mirror, by digest."""
    operator_catalogs: tuple[OperatorCatalog, ...] = ()
    """Operator catalogs to mirror, with the engine oc-mirror. The cluster gets a CatalogSource for each, a
    ClusterCatalog where it knows them, and the mirrors of what is in them. The cluster keeps what leaves the list."""
    media: AbsolutePath | None = None
    """A directory on the services host to load the release from, as `make media` saved it. Default: none; it is
    mirrored from its registry"""

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
    def origins(self) -> tuple[str, ...]:
        """What the payload of complete settings may be named by beside `sources`, where these are of a mirror."""
        return _origins(self.reference, self.sources, self.version)

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


def _origins(image: Reference, sources: tuple[str, ...], version: str | None) -> tuple[str, ...]:
    """What OKD's own release and payload are named by, where the image may lie in a mirror of it; else nothing.

    One that was rebuilt for its registry under OKD's own names has its payload beside it.
    """
    if version is None:
        return ()
    release = SCOS_REPOSITORY if Version.parse(version).scos else FCOS_REPOSITORY
    registry, _, path = release.partition("/")
    known = {image.registry, *(Reference.parse(source).registry for source in sources)}
    if registry in known or image.path.endswith(f"/{path.rpartition('/')[2]}"):
        return ()
    return (release, *(source for source in _sources(Reference.parse(release)) if source != release))


def _sources(image: Reference) -> tuple[str, ...]:
    """The release's repository and its payload's, where the former's name tells the latter's."""
    repository = image.repository
    if repository == FCOS_REPOSITORY:
        return (repository, f"{FCOS_REPOSITORY}-content")
    if repository.endswith("/scos-release"):
        return (repository, f"{repository.removesuffix('release')}content")
    return ()
