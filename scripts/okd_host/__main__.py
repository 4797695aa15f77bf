"""okd-host: the host agent of okd-libvirt.

usage: okd-host VERB [SERVICE] < DOCUMENT.json
       okd-host VERB --help

verbs:
  prepare            wait for the first boot, then install packages: `ready` and `packages` in one
  ready              wait until the host's first boot is finished and print its operating system
  packages           install what is missing, without starting daemons
  storage            file system and mount of the registry's data volume
  secrets SERVICE    keep the secret files of a service for the next delivery
  deliver            stage, check, swap in, reload and health-check the files of one service
  fetch              download boot files, verified by SHA-256
  mirror             copy a release to the mirror registry and prove that all of it is there
  tools              extract oc and openshift-install from the mirrored release
  media-save         save a release to removable media, on any connected host
  boot-image         fetch the boot image that the release's installer names
  ignition           make and publish the ignition configs, unless the cluster is up
  ignition-status    say how old the ignition configs are and what to ask for next
  credentials        print the kubeconfig and the kubeadmin password
  smoke              check the services from inside the cluster network
  machines           note which machines the stack declares
  worker-config      publish the ignition configs that new machines take, as the cluster has them by now
  node-join          follow one machine from its power-on to its Ready node
  node-leave         drain one machine, shut it down and remove its node
  await-bootstrap    wait until the control plane does without the bootstrap
  bootstrap-leave    take the bootstrap out of the load balancer and shut it down
  await-install      wait until the cluster is installed
  gather             everything that explains a failed installation, in one file
  cluster-status     say what services, mirror, machines and cluster are at
  cluster-stop       shut the whole cluster down in order
  cluster-start      wait for a cluster that was stopped, and undo what the stop did

Every verb reads one JSON document on stdin (after a first line that starts with @, if there is one), prints its
stages on stdout and exits 0, or 1 with the failed stage, the reason, what is in service now and the remedy on stderr.
Every verb may be run again at any time, also after it was killed. `okd-host VERB --help` describes the document.
"""

from __future__ import annotations

import os
import signal
import sys

VERBS = {
    "prepare": "prepare",
    "ready": "ready",
    "packages": "packages",
    "storage": "storage",
    "secrets": "secret_store",
    "deliver": "deliver",
    "fetch": "fetch",
    "mirror": "mirror.verb",
    "tools": "tools",
    "media-save": "media.save",
    "boot-image": "boot_image",
    "ignition": "ignition.verb",
    "ignition-status": "ignition.status",
    "credentials": "ignition.credentials",
    "smoke": "smoke.verb",
    "machines": "installation.declare",
    "worker-config": "installation.worker_config",
    "node-join": "installation.join",
    "node-leave": "installation.leave",
    "await-bootstrap": "installation.bootstrap",
    "bootstrap-leave": "installation.departure",
    "await-install": "installation.install",
    "gather": "installation.gather",
    "cluster-status": "installation.status",
    "cluster-stop": "installation.stop",
    "cluster-start": "installation.start",
}
TOOLS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _document() -> object:
    import json

    text = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    if text.startswith("@"):
        text = text.partition("\n")[2]
    return json.loads(text) if text.strip() else {}


def main(argv: list[str]) -> int:
    """Run the verb named by `argv`; 0 when it succeeded, 1 when it failed, 2 when it was called wrongly."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(__doc__)
        return 0 if argv else 2
    verb, arguments = argv[0], argv[1:]
    if verb not in VERBS:
        print(f"okd-host: unknown verb {verb!r}; known: {', '.join(VERBS)}", file=sys.stderr)
        return 2
    from importlib import import_module

    from okd_host import report

    module = import_module(f"okd_host.{VERBS[verb]}")
    if "--help" in arguments or "-h" in arguments:
        print(f"okd-host {verb}: {module.__doc__}")
        return 0
    # A connection that goes away must not leave a half-done change: the verb runs to its end.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.environ.update(PATH=TOOLS, LC_ALL="C")
    os.umask(0o022)
    try:
        document = _document()
    except ValueError as error:
        print(f"okd-host {verb}: the document on stdin is not JSON: {error}", file=sys.stderr)
        return 2
    try:
        module.main(arguments, document)
    except report.Failed as failure:
        report.failure(verb, failure)
        return 1
    finally:
        report.flush()
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # The interpreter's own flush at exit would complain when the reader is gone.
    os._exit(code)
