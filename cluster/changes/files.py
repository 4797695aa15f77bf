"""Which rendered files change, and how: what was delivered last against what is planned, line by line.

Owns that comparison, from the documents in the stack's state. Secrets and text that is known only when it is delivered
are never compared nor shown. Does not own what a daemon does with a new file (services.py).
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cluster import (
    catalogs,
    cloud_init,
    go_yaml,
    ignition,
    install_config,
    manifests,
    mirror,
    pull_secret,
    secret_manifests,
)
from cluster.before import SEED
from cluster.certificates import bundle as certificate_bundle
from cluster.changes.standing import AUTHORITY, Document, Standing
from cluster.host_files import Bundle, HostFile
from cluster.host_os import RELEASE
from cluster.plan import Plan

# Lines of a file's content; None where they are secret or not known yet.
Content = Sequence[str] | None
Files = dict[str, Content]
FILE_LINES, ALL_LINES = 40, 240
# Keys are in none of the seed's files that are compared.
UNKNOWN_KEY = "ssh-ed25519 unknown"


def diffs(plan: Plan) -> list[str]:
    """A unified diff of every file that changes, is new or is removed; empty for a stack that does not stand yet."""
    standing = Standing.of(plan.before)
    now, planned = _now(standing), _planned(standing, plan)
    moved = _moved(now, planned)
    found = [f"--- {old} (now)\n+++ {new} (planned)\n(the same under another name)" for old, new in moved.items()]
    for old, new in moved.items():
        now[new] = now.pop(old)
    groups: dict[tuple[bool, bool, tuple[str, ...]], list[str]] = {}
    bodies = {
        path: _body(path, now, planned) for path in dict.fromkeys([*planned, *now]) if _differ(path, now, planned)
    }
    for path, body in bodies.items():
        change = tuple(line for line in body if line.startswith(("+", "-")))
        groups.setdefault((path in now, path in planned, change), []).append(path)
    left, silent = ALL_LINES - 3 * len(found), []
    for (there, stays, _), paths in groups.items():
        body = bodies[paths[0]]
        if left > 0:
            old, new = (paths[0] if known else "/dev/null" for known in (there, stays))
            head = [f"--- {old} (now)", f"+++ {new} (planned)"]
            found.append("\n".join([*head, *body[:FILE_LINES], *_more(body, paths)]))
            left -= min(len(body), FILE_LINES) + len(head)
        else:
            silent += paths
    if silent:
        found.append(f"{len(silent)} more files change: {', '.join(silent[:8])}{', …' if silent[8:] else ''}")
    if silent or any(len(body) > FILE_LINES for body in bodies.values()):
        found.append(
            "every changed line: `pulumi preview --diff`; every file as planned: "
            f"`make render STACK={plan.stack} OUT=directory`"
        )
    return found


def changed(standing: Standing, plan: Plan) -> dict[str, list[str]]:
    """The services that would be delivered anew though the services host stays, each with its changed files."""
    found = {}
    for bundle in plan.bundles:
        old = standing.bundles.get(bundle.service)
        if old is None:
            continue
        new = _document(bundle, old)
        if old != new:
            before, after = _by_path(old), _by_path(new)
            paths = sorted(before.keys() | after.keys())
            found[bundle.service] = [path for path in paths if before.get(path) != after.get(path)]
    return found


def documents(standing: Standing, plan: Plan) -> list[str]:
    """The installer's documents that change, by file name."""
    now, planned = _installer_now(standing), _installer_planned(standing, plan)
    return [path.rpartition("/")[2] for path in dict.fromkeys([*planned, *now]) if _differ(path, now, planned)]


def _document(bundle: Bundle, old: Document) -> Document:
    """The bundle's document with everything that only a delivery knows as it was delivered last."""
    entries = _by_path(old)
    values = {
        file.value: "\n".join(entries.get(file.path, {}).get("lines", ())) + "\n"
        for file in bundle.files
        if file.value and not file.secret
    }
    hashes = {file.value: entries.get(file.path, {}).get("sha256", "") for file in bundle.files if file.value}
    return bundle.document(values, hashes)


def _by_path(document: Document) -> dict[str, Mapping[str, Any]]:
    return {entry["path"]: entry for entry in document["files"]}


def _now(standing: Standing) -> Files:
    entries = (entry for document in standing.bundles.values() for entry in document["files"])
    found: Files = {entry["path"]: _content(entry.get("lines"), entry.get("copyOf")) for entry in entries}
    seed = standing.outputs(SEED, "services-seed")
    for name, key in (("meta-data", "metaData"), ("network-config", "networkConfig")):
        if key in seed:
            found[f"/cloud-init/{name}"] = seed[key].splitlines()
    return found | _installer_now(standing) | _image_set((standing.document("mirror-release") or {}).get("imageSet"))


def _planned(standing: Standing, plan: Plan) -> Files:
    if standing.new:
        return {}
    files = (file for bundle in plan.bundles if bundle.service in standing.bundles for file in bundle.files)
    found: Files = {file.path: _content(_lines(file), file.copy_of) for file in files}
    if standing.outputs(SEED, "services-seed"):
        seed = cloud_init.seed(plan, UNKNOWN_KEY, UNKNOWN_KEY, UNKNOWN_KEY)
        found["/cloud-init/meta-data"] = seed.meta_data.splitlines()
        found["/cloud-init/network-config"] = seed.network_config.splitlines()
    if standing.document("mirror-release") is not None:
        found |= _image_set(mirror.mirror_document(plan, {pull_secret.MERGED: ""})["imageSet"])
    return found | _installer_planned(standing, plan)


def _content(lines: Sequence[str] | None, copy_of: str | None) -> Content:
    return [f"(a copy of {copy_of})"] if copy_of else lines


def _lines(file: HostFile) -> Content:
    return None if file.text is None else file.text.removesuffix("\n").split("\n")


def _image_set(document: Any) -> Files:
    return {f"{RELEASE}/imageset-config.yaml": _yaml(document)} if document else {}


def _installer_now(standing: Standing) -> Files:
    old = standing.document("ignition-set")
    return {} if old is None else _installer(old["installConfig"], old["manifests"], old["secretManifests"])


def _installer_planned(standing: Standing, plan: Plan) -> Files:
    """The installer's documents, with the stack's own keys and certificates as they are."""
    old = standing.document("ignition-set")
    if old is None:
        return {}
    told, authority = old["installConfig"], standing.outputs(AUTHORITY, "pki-ca").get("certPem")
    trust = certificate_bundle(authority, *mirror.trusted_certificates(plan)) if authority else None
    # The stack's own login key comes first.
    config = install_config.document(plan, trust or told["additionalTrustBundle"], told["sshKey"].partition("\n")[0])
    texts = ignition.manifest_texts(plan)
    if plan.settings.install.release_signature and manifests.SIGNATURE_FILE in old["manifests"]:
        texts[manifests.SIGNATURE_FILE] = old["manifests"][manifests.SIGNATURE_FILE]
    if plan.settings.release.operator_catalogs:
        texts |= {name: text for name, text in old["manifests"].items() if name.startswith(catalogs.PREFIX)}
    return _installer(config, texts, secret_manifests.names(plan))


def _installer(config: Any, texts: Mapping[str, str], secret: Mapping[str, Any]) -> Files:
    found: Files = {f"{RELEASE}/install-config.yaml": _yaml(config)}
    found |= {f"{RELEASE}/manifests/{name}": text.splitlines() for name, text in texts.items()}
    return found | dict.fromkeys(f"{RELEASE}/manifests/{name}" for name in secret)


def _yaml(document: Any) -> list[str]:
    return go_yaml.dump(document).splitlines()


def _differ(path: str, now: Files, planned: Files) -> bool:
    if path in now and path in planned:
        return None not in (now[path], planned[path]) and list(now[path] or ()) != list(planned[path] or ())
    return True


def _moved(now: Files, planned: Files) -> dict[str, str]:
    """Files that are planned under another path with the same content, as a machine's boot profile by its MAC."""
    new = {tuple(lines): path for path, lines in planned.items() if path not in now and lines}
    gone = ((path, tuple(lines)) for path, lines in now.items() if path not in planned and lines)
    return {path: new.pop(lines) for path, lines in gone if lines in new}


def _body(path: str, now: Files, planned: Files) -> tuple[str, ...]:
    """The diff without its head."""
    old, new = now.get(path, ()), planned.get(path, ())
    if old is None or new is None:
        return ("(content not shown: secret, or made when it is delivered)",)
    return tuple(itertools.islice(difflib.unified_diff(old, new, lineterm="", n=2), 2, None))


def _more(body: Sequence[str], same: Sequence[str]) -> Iterator[str]:
    if len(body) > FILE_LINES:
        yield f"… {len(body) - FILE_LINES} more lines"
    if len(same) > 1:
        yield f"the same in {', '.join(same[1:7])}{f' and {len(same) - 7} more' if len(same) > 7 else ''}"
