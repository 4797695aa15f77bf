"""`python -m cluster.media --stack NAME --directory DIR`: the document by which a release is saved to removable media.

Owns what the host agent's `media-save` reads, from a stack file without Pulumi. The pull secret, which Pulumi alone can
read, is named by the path of a file. Does not own the saving.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from cluster import mirror
from cluster.plan import Plan
from cluster.settings import Settings, SettingsError
from cluster.site import Site
from cluster.stack_file import stack_config, stack_file


def document(site: Site, directory: Path, pull_secret: Path | None = None, oc: str | None = None) -> dict[str, Any]:
    """What `media-save` reads; `directory` takes the media, `oc` is looked for on PATH when it is not given."""
    release = site.settings.release
    return {
        "release": mirror.release_document(site),
        "sources": [*release.sources, *release.origins],
        "images": list(release.additional_images),
        "directory": str(directory.absolute()),
        "oc": oc,
        "trust": mirror.trusted_certificates(site),
        "pullSecretFile": str(pull_secret.absolute()) if pull_secret else None,
        "attempts": release.attempts,
    }


def main(argv: list[str]) -> int:
    """Print the document; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.media", description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--directory", required=True, type=Path, help="where the media is mounted")
    parser.add_argument("--pull-secret", type=Path, help="file with credentials, in the form of auth.json")
    parser.add_argument("--oc", help="path of oc (default: the one on PATH)")
    words = parser.parse_args(argv)
    try:
        # The machine that saves asks name servers of its own.
        plan = Plan.of(Settings.parse(stack_config(stack_file(words.stack)), words.stack, stands=True))
        if plan.settings.release.engine != "oc":
            print("release.engine = oc-mirror: oc saves to media, and no operator catalogs", file=sys.stderr)
            return 1
        found = document(plan, words.directory, words.pull_secret, words.oc)
    except (OSError, SettingsError, yaml.YAMLError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
