"""The mirror against plain `skopeo sync` of the same images, and a verifying run over a complete mirror.

`python -m benchmarks.mirror [--megabytes N] [--rounds N]`, as root, with the lab's `oc` built (`make release`). Real
registries with TLS and passwords, in namespaces of the benchmark's own. Both tools copy in turn to an empty registry;
what counts are ratios of one run, not seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lab import release
from tests.mirroring import world
from tests.mirroring.tiny_release import UPSTREAM, VERSION
from tests.mirroring.world import MIRROR, PULL_SECRET, STORAGE, World

# The release image and five images; four of all layers are large.
IMAGES, LAYERS = 6, 4
SYNC_LIST = "/run/sync.json"


def skopeo(host: World, made: dict[str, Any]) -> float:
    """Copy everything with `skopeo sync`; seconds."""
    digests = [image.digest for image in made["images"].values()]
    wanted = {"okd/scos-release": [VERSION], "okd/scos-content": digests}
    host.write(SYNC_LIST, json.dumps({UPSTREAM: {"images": wanted, "tls-verify": True}}))
    host.write("/run/auth.json", PULL_SECRET)
    argv = ["env", "SSL_CERT_FILE=/run/bundle.crt", "REGISTRY_AUTH_FILE=/run/auth.json", "skopeo", "sync", "--all"]
    host.sh("cat /run/tls/ca.crt /run/tls/upstream-ca.crt > /run/bundle.crt")
    begin = time.monotonic()
    host.run(*argv, "--src", "yaml", "--dest", "docker", SYNC_LIST, f"{MIRROR}/okd")
    return time.monotonic() - begin


def ours(host: World) -> tuple[float, float]:
    """Copy everything with the host agent's verb, and run it again over the complete mirror; seconds each."""
    times = []
    for copied in (IMAGES, 0):
        begin = time.monotonic()
        result, _ = host.verb("mirror", host.document())
        times.append(time.monotonic() - begin)
        if result["copied"] != copied:
            raise SystemExit(f"{result['copied']} images were copied, not {copied}")
    return times[0], times[1]


def stored(host: World) -> int:
    """The bytes of all blobs in the mirror registry."""
    sizes = host.run("find", f"{STORAGE}/docker", "-name", "data", "-printf", "%s ")
    return sum(int(size) for size in sizes.split())


def main(arguments: list[str]) -> int:
    """Print a row for each round and the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mirror", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=600, help="size of the release (default 600)")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs that count (default 3)")
    chosen = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory(prefix="okd-benchmark-") as place:
        path = Path(place)
        made = world.build(path, release.oc(), layer=chosen.megabytes * 1_000_000 // LAYERS)
        for number in range(chosen.rounds):
            order = (True, False) if number % 2 else (False, True)
            found: dict[str, float] = {}
            for own in order:
                host = World(path).mirror().upstream()
                try:
                    if own:
                        found["mirror"], found["again"] = ours(host)
                    else:
                        found["skopeo"] = skopeo(host, made)
                    found["bytes of mirror" if own else "bytes of skopeo"] = stored(host)
                finally:
                    host.close()
            rows.append(found)
            print(
                f"round {number + 1}: mirror {found['mirror']:.1f} s, skopeo sync {found['skopeo']:.1f} s, "
                f"verifying run {found['again']:.2f} s, {found['bytes of mirror'] / 1e6:.0f} MB "
                f"(skopeo {found['bytes of skopeo'] / 1e6:.0f} MB)",
                flush=True,
            )
    throughput = statistics.median(row["skopeo"] / row["mirror"] for row in rows)
    again = statistics.median(row["again"] / row["mirror"] for row in rows)
    print(f"throughput against skopeo sync: {throughput:.2f} (at least 0.9)")
    print(f"verifying run against the first: {again:.1%} (at most 5 %)")
    return 0 if throughput >= 0.9 and again <= 0.05 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
