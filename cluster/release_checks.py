"""Relations of the release: to itself, to the boot image, and to files on this machine.

Owns these cross checks and their harm and fix. Does not own the cluster's networks and manifests (install_checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import source_checks
from cluster.certificates import PEM_FORM, Unread, load
from cluster.project_files import resolved
from cluster.release_settings import Release, tag_version
from cluster.settings_problems import Problem, Refused
from cluster.versions import DIGEST_SOURCES, SCOS, SCOS_NAMED, SCOS_ONLY, Version

if TYPE_CHECKING:
    from cluster.machine_settings import BootImage
    from cluster.settings import Settings

SHOW_STREAM = "openshift-install coreos print-stream-json of a release since 4.19 names one"


def check(settings: Settings, refused: Refused, directory: Path | None) -> Iterator[Problem]:
    """Every relation that does not hold; `directory` is the project's, None to leave files of this machine alone."""
    release = settings.release
    if not refused.touches("release.image", "release.version", "release.digest"):
        yield from _identity(release)
    if not refused.touches("release.image", "release.version", "release.sources"):
        yield from _sources(release)
    yield from source_checks.check(settings, refused)
    if not refused.touches("release.engine"):
        yield from _engine(release, refused)
    yield from _twice("release.additionalImages", release.additional_images)
    yield from _twice("release.operatorCatalogs", [one.catalog for one in release.operator_catalogs])
    if not refused.touches("bootImage"):
        yield from _boot_files(settings.boot_image)
        if release.version is not None and not refused.touches("release.image", "release.version"):
            yield from _boot_image(settings.boot_image, release.okd)
    if directory is not None:
        yield from _certificates(release, directory)


def _engine(release: Release, refused: Refused) -> Iterator[Problem]:
    """What only one of the engines can do."""
    catalogs = ", ".join(one.catalog for one in release.operator_catalogs)
    if release.engine == "oc-mirror" and release.media:
        yield Problem(
            "release.media",
            release.media,
            "`make media` saves no operator catalogs, and what it saved is loaded without release.engine = oc-mirror: "
            "whatever that was meant to mirror would be missing without a word",
            "leave it out, to mirror with oc-mirror; or set release.engine to oc and remove release.operatorCatalogs",
        )
    elif catalogs and release.engine != "oc-mirror":
        yield Problem(
            "release.operatorCatalogs",
            catalogs,
            "oc mirrors no catalogs, so they would be missing from the cluster without a word",
            "set release.engine to oc-mirror, or remove them",
        )
    elif (
        catalogs
        and release.version
        and not release.okd.since(DIGEST_SOURCES)
        and not refused.touches("release.image", "release.version")
    ):
        yield Problem(
            "release.operatorCatalogs",
            catalogs,
            f"nodes find what is in them by an ImageDigestMirrorSet, and the installer of {release.version} makes an "
            "ImageContentSourcePolicy, beside which a cluster takes none",
            "take a release since 4.14, or remove them",
        )


def _twice(setting: str, given: Sequence[str]) -> Iterator[Problem]:
    for number, one in enumerate(given):
        if one in given[:number]:
            yield Problem(f"{setting}[{number}]", one, "listed twice", "remove it")


def _identity(release: Release) -> Iterator[Problem]:
    image = release.reference
    named = tag_version(image)
    if release.version is None:
        yield Problem(
            "release.version",
            "",
            f"{release.image} does not tell which version it is, and what is installed depends on it",
            "add it; `oc adm release info` shows it as Name",
        )
    elif named is not None and named != release.version:
        yield Problem(
            "release.version",
            release.version,
            f"release.image has the tag of another version, {named}: which of the two is meant is unclear",
            "leave out release.version, or give both the same",
        )
    if image.digest is not None and release.digest != image.digest:
        yield Problem(
            "release.digest",
            str(release.digest),
            f"release.image has another digest, {image.digest}: no release can have both",
            "leave out release.digest, or give both the same",
        )


def _sources(release: Release) -> Iterator[Problem]:
    repository = release.reference.repository
    if not release.sources:
        yield Problem(
            "release.sources",
            "",
            f"where the payload of {release.image} lies is not known, and nodes would look for it outside",
            "list the release's repository and those that `oc adm release info --pullspecs` shows; of a mirror of "
            f"OKD's own release {repository} is enough",
        )
    elif repository not in release.sources:
        yield Problem(
            "release.sources",
            ", ".join(release.sources),
            f"lacks {repository}, the release image's own: nodes would look for it outside the cluster network",
            f"add {repository}",
        )
    for number, source in enumerate(release.sources):
        if source in release.sources[:number]:
            yield Problem(
                f"release.sources[{number}]", source, "listed twice: the installer would mirror it twice", "remove it"
            )


def _boot_files(image: BootImage) -> Iterator[Problem]:
    given = {"kernel": image.kernel, "initramfs": image.initramfs}
    if any((*given.values(), image.rootfs)) and not all(given.values()):
        missing = [name for name, file in given.items() if file is None]
        yield Problem(
            f"bootImage.{missing[0]}",
            "",
            "without it the files given boot nothing",
            f"add {' and '.join(missing)}, or give no file: the release's installer then names the boot image",
        )


def _boot_image(image: BootImage, version: Version) -> Iterator[Problem]:
    files = {"kernel": image.kernel, "initramfs": image.initramfs, "rootfs": image.rootfs}
    given = {f"bootImage.{name}.location": file.location for name, file in files.items() if file is not None}
    for setting, location in given.items():
        if "fedora-coreos" in location and version.since(SCOS_ONLY):
            yield Problem(
                setting,
                location,
                f"Fedora CoreOS: {version.text} cannot be installed from it, its nodes stop at their first boot",
                f"take CentOS Stream CoreOS, or give no file; {SHOW_STREAM}",
            )
        elif "scos" in location and not version.since(SCOS):
            yield Problem(
                setting,
                location,
                f"CentOS Stream CoreOS: {version.text} is built on Fedora CoreOS and expects to start from that",
                "give no file: the release's installer then names the boot image",
            )
    if not given and version.since(SCOS_ONLY) and not version.since(SCOS_NAMED):
        yield Problem(
            "bootImage",
            "",
            f"the installer of {version.text} names Fedora CoreOS, from which this very release cannot be installed",
            f"give kernel, initramfs and rootfs of CentOS Stream CoreOS ({SHOW_STREAM}), or take a release since 4.19",
        )


def _certificates(release: Release, directory: Path) -> Iterator[Problem]:
    for number, path in enumerate(release.trusted_certificates):
        setting = f"release.trustedCertificates[{number}]"
        try:
            load(resolved(path, directory))
        except OSError as error:
            harm = f"cannot be read ({error.strerror}), so what it signs would not be trusted"
            yield Problem(setting, path, harm, f"{PEM_FORM}; a relative path starts at {directory}")
        except Unread as error:
            for harm, fix in error.faults:
                yield Problem(setting, path, harm, fix)
