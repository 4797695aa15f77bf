"""`python -m cluster.review --stack NAME --out DIR`: every file of a stack as it would be delivered.

Owns writing the files, path under DIR = path on the services host; without `--out`, the settings are checked and
nothing is written. Secrets are never known here and are written as REDACTED. Does not own what is in them, nor the
reading of a stack's file (stack_file.py).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from cluster import go_yaml, ignition, install_config, mirror, secret_manifests
from cluster.host_files import HostFile
from cluster.host_os import RELEASE
from cluster.plan import Plan
from cluster.settings import Settings, SettingsError
from cluster.stack_file import hidden_sections, stack_config, stack_file


def files(plan: Plan) -> dict[str, str]:
    """Text by path of everything delivered to the services host, of the release's documents, and of its seed."""
    seed = plan.cloud_init("REDACTED", "REDACTED", "ssh-ed25519 REDACTED")
    texts = {file.path: _text(file) for bundle in plan.bundles for file in bundle.files}
    texts |= {f"{RELEASE}/manifests/{name}": text for name, text in ignition.manifest_texts(plan).items()}
    texts |= {f"{RELEASE}/manifests/{name}": "REDACTED\n" for name in secret_manifests.names(plan)}
    told = install_config.document(plan, "(certificates: made when the stack is deployed)", "ssh-ed25519 REDACTED")
    return texts | {
        f"{RELEASE}/install-config.yaml": go_yaml.dump(told),
        f"{RELEASE}/imageset-config.yaml": go_yaml.dump(mirror.image_set(plan)),
        "/cloud-init/user-data": seed.user_data,
        "/cloud-init/meta-data": seed.meta_data,
        "/cloud-init/network-config": seed.network_config,
    }


def _text(file: HostFile) -> str:
    if file.text is not None:
        return file.text
    if file.copy_of is not None:
        return f"(copy of {file.copy_of}, a file of the services host's packages)\n"
    return "REDACTED\n" if file.secret else f"({file.value}: made when the stack is deployed)\n"


def planned(stack: str, *, stands: bool = False) -> Plan:
    """The plan of a stack by its name, on a machine that may hold none of the files that its settings name.

    `stands` as in Settings.parse. Raises OSError, SettingsError or yaml.YAMLError.
    """
    # A certificate of the lab's upstream, say, is there only once the lab runs.
    return Plan.of(Settings.parse(stack_config(stack_file(stack)), stack, look_at_files=False, stands=stands))


def main(argv: list[str]) -> int:
    """Check a stack's settings and write its files; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.review")
    parser.add_argument("--stack", required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--stands", action="store_true", help="the stack may stand: doubt what it can no longer change")
    words = parser.parse_args(argv)
    try:
        if not words.out and (hidden := hidden_sections(stack_file(words.stack))):
            print(f"only Pulumi can read {', '.join(hidden)} of stack {words.stack}, and checks the settings by itself")
            return 0
        # What stands is rendered too.
        plan = planned(words.stack, stands=words.stands or words.out is not None)
        rendered = files(plan) if words.out else {}
    except yaml.YAMLError as error:
        print(f"{stack_file(words.stack).name} is not the YAML that Pulumi reads: {error}", file=sys.stderr)
        return 1
    except (OSError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 1
    if not words.out:
        print(f"the settings of stack {words.stack} can be used: {len(plan.machines)} machines")
        return 0
    for warning in plan.settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for path, text in rendered.items():
        target = words.out / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    print(f"{len(rendered)} files of stack {words.stack} written under {words.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
