"""A preview of the fourteen-machine stack against that of an empty program with the same providers.

`python -m benchmarks.preview [--pairs N]`, as root, after `make toolchain`; the lab's hypervisor is started unless it
runs. The empty program declares one resource of each provider, so that the engine starts the same plugins. Both are
stacks that do not exist yet, previewed in turn; what counts is the median of the pairs' ratios, not seconds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import checkout, hypervisor, libvirtd, namespaces

EMPTY = """\
import pulumi, pulumi_command, pulumi_libvirt, pulumi_random, pulumi_tls
def by(provider): return pulumi.ResourceOptions(provider=provider)
pulumi_random.RandomString("one", length=1, opts=by(pulumi_random.Provider("one")))
pulumi_tls.PrivateKey("one", algorithm="ED25519", opts=by(pulumi_tls.Provider("one")))
pulumi_libvirt.Network("one", mode="none", opts=by(pulumi_libvirt.Provider("one", uri="qemu:///system")))
pulumi_command.local.Command("one", create="true", opts=by(pulumi_command.Provider("one")))
"""
PROJECT = "name: okd-libvirt\nruntime: {{name: python, options: {{virtualenv: {venv}}}}}\n"
EXAMPLE = checkout.ROOT / "examples" / "Pulumi.hard-way.yaml"
# The machines are never made, on a host that may be too small for them.
HERE = "  okd-libvirt:checks: {hostMemory: warn, hostDisk: warn}\n"
LIMIT = 1.5


class Program:
    """One of the two: where its source is, and the settings file that `stack init` writes a salt into."""

    def __init__(self, directory: Path, source: Path, stack: str, settings: str) -> None:
        self.source, self.stack = source, stack
        self.settings = directory / f"Pulumi.{stack}.yaml"
        self.settings.write_text(settings)
        (directory / "Pulumi.yaml").write_text(PROJECT.format(venv=checkout.ROOT / ".venv"))
        # With bytecode kept, as Python does where nobody forbids it.
        unset = ("PULUMI_CONFIG_PASSPHRASE_FILE", "PYTHONDONTWRITEBYTECODE")
        given = {name: value for name, value in checkout.environment().items() if name not in unset}
        self.environment = given | {
            "PULUMI_BACKEND_URL": f"file://{directory / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "of the benchmark",
        }
        (directory / "state").mkdir(exist_ok=True)
        self.run(directory, "stack", "init", stack)

    def preview(self) -> float:
        """Preview once; seconds."""
        begin = time.monotonic()
        self.run(self.source, "preview", "--stack", self.stack, "--config-file", str(self.settings))
        return time.monotonic() - begin

    def run(self, directory: Path, *words: str) -> None:
        """Run pulumi in the lab; a failure ends the benchmark."""
        argv = namespaces.join(["pulumi", *words, "--non-interactive"], directory=directory)
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"pulumi {' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


@contextmanager
def lab() -> Iterator[None]:
    """The lab's hypervisor; one that did not run before ends again."""
    ran = bool(namespaces.processes()) and libvirtd.answers()
    hypervisor.up()
    try:
        yield
    finally:
        if not ran:
            hypervisor.down()


def main(arguments: list[str]) -> int:
    """Print a row for each pair and the medians; 1 when the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preview", description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="pairs of previews that count (default 7)")
    chosen = parser.parse_args(arguments)
    rows: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="okd-benchmark-") as place, lab():
        directories = Path(place, "whole"), Path(place, "empty")
        for directory in directories:
            directory.mkdir()
        (directories[1] / "__main__.py").write_text(EMPTY)
        whole = Program(directories[0], checkout.ROOT, "hard-way", EXAMPLE.read_text() + HERE)
        empty = Program(directories[1], directories[1], "empty", "")
        for number in range(chosen.pairs + 1):
            if number % 2:
                took, other = whole.preview(), empty.preview()
            else:
                other, took = empty.preview(), whole.preview()
            if number:  # the first pair fills the caches of the file system
                rows.append((took, other))
                print(f"pair {number}: {took:.2f} s, empty {other:.2f} s, ratio {took / other:.2f}", flush=True)
    ratio = statistics.median(took / other for took, other in rows)
    print(f"a preview of fourteen machines against an empty one: {ratio:.2f} (at most {LIMIT})")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
