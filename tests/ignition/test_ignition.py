"""Making and publishing a set with the real openshift-install."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.certificates import CERTIFICATE
from tests.cluster.conftest import planned
from tests.cluster.test_ignition import document as programs_document
from tests.cluster.test_manifests import SECRETS
from tests.conftest import STACK_FILES
from tests.ignition import world
from tests.ignition.world import INSTALL, NAMES, PUBLISHED, Site, document, in_bootstrap
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.daemons, pytest.mark.release]


def copied(site: Site, to: Path) -> Path:
    for name, text in site.published().items():
        (to / name).write_text(text)
    return to


def test_a_set_is_made_and_published_that_the_official_parser_accepts(
    site: Site, validate: Callable[[Path], str], tmp_path: Path
) -> None:
    found = site.ignition()
    assert validate(copied(site, tmp_path)).count(": valid") == 3
    published = site.published()
    assert site.kept().configs == published
    assert found["digest"] == hashlib.sha256("".join(published[name] for name in NAMES).encode()).hexdigest()
    assert {name: found[name] for name in ("reused", "installed", "generation")} == {
        "reused": False,
        "installed": False,
        "generation": "first",
    }
    made, expiry = (time.strptime(found[name], "%Y-%m-%dT%H:%M:%SZ") for name in ("made", "expiry"))
    assert abs(time.mktime(expiry) - time.mktime(made) - 24 * 3600) < PATIENCE_SECONDS
    files = in_bootstrap(published["bootstrap.ign"])
    assert files["/opt/openshift/openshift/99-okd-pool-infra.yaml"] == world.POOL
    assert world.KEY_LINE in files["/opt/openshift/openshift/99-okd-ingress.yaml"]


def test_every_file_of_a_set_is_for_those_who_need_it_only(site: Site) -> None:
    site.ignition()
    group = site.host.sh("getent group www-data | cut -d: -f3").strip()
    assert site.tree(PUBLISHED) == {
        PUBLISHED: f"750 0:{group}",
        **{f"{PUBLISHED}/{name}": f"640 0:{group}" for name in NAMES},
    }
    assert site.host.run("ls", "-A", "/var/www/okd") == "ignition\n"
    private = ["bootstrap.ign", "master.ign", "worker.ign", "inputs.json", "install-config.yaml", "metadata.json"]
    private += ["auth/kubeconfig", "auth/kubeadmin-password"]
    assert site.tree(INSTALL) == {
        **dict.fromkeys([INSTALL, f"{INSTALL}/auth"], "700 0:0"),
        **{f"{INSTALL}/{name}": "600 0:0" for name in private},
    }
    assert site.host.run("ls", "-A", "/var/lib/okd-registry/okd-libvirt") == "install\n"
    assert site.tree("/var/lib/okd-registry/okd-libvirt")["/var/lib/okd-registry/okd-libvirt"] == "700 0:0"
    assert json.loads(site.host.read(f"{INSTALL}/install-config.yaml"))["pullSecret"] == world.PULL_SECRET


def test_no_secret_is_printed_or_in_a_command_line_or_in_a_file_that_others_read(site: Site) -> None:
    agent = subprocess.Popen(
        site.argv("ignition"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert agent.stdin
    agent.stdin.write(json.dumps(document()))
    agent.stdin.close()
    agent.stdin = None
    seen = set()
    while agent.poll() is None:
        for place in Path("/proc").glob("[0-9]*"):
            try:
                seen.add((place / "cmdline").read_text() + (place / "environ").read_text())
            except OSError:
                continue
        time.sleep(0.02)
    assert agent.stdout
    printed = agent.stdout.read()
    assert agent.returncode == 0, printed
    assert any("create\0ignition-configs" in line for line in seen)
    kept = site.kept()
    private = re.findall(r"client-key-data: (\S+)", kept.kubeconfig)
    secrets = [world.AUTH, world.PASSWORD, world.KEY_LINE, kept.password, *private]
    assert [text for text in secrets if text in printed or any(text in line for line in seen)] == []
    readable = site.host.run("find", "/var", "/run", "/srv", "-type", "f", "-perm", "/0007", "-print").split()
    for text in secrets:
        found = site.host.run("grep", "-lF", text, "--", *readable, "/dev/null", check=False)
        assert found.replace("grep: ", "").strip() == ""


def test_a_fresh_set_of_the_same_inputs_is_used_again_without_the_installer(settled: Site) -> None:
    before, tree = settled.kept(), settled.tree(INSTALL, PUBLISHED)
    settled.host.write("/usr/local/bin/openshift-install", "#!/bin/sh\nexit 1\n", "755")
    again = settled.ignition()
    assert again == {**settled.first, "reused": True}
    assert (settled.kept(), settled.tree(INSTALL, PUBLISHED)) == (before, tree)


@pytest.mark.parametrize(
    "damage",
    [
        f"printf x >> {PUBLISHED}/worker.ign",
        f"rm {PUBLISHED}/master.ign",
        f"rm -r {PUBLISHED}",
        f"chmod 644 {PUBLISHED}/bootstrap.ign",
        f"chgrp root {PUBLISHED}/worker.ign",
        f"chmod 755 {PUBLISHED}",
        f"touch {PUBLISHED}/other.ign",
    ],
)
def test_a_published_copy_that_differs_is_published_again(settled: Site, damage: str) -> None:
    tree = settled.tree(PUBLISHED)
    settled.host.sh(damage)
    assert settled.ignition() == {**settled.first, "reused": True}
    assert settled.published() == settled.kept().configs
    assert settled.tree(PUBLISHED) == tree
    assert settled.host.run("ls", "-A", "/var/www/okd") == "ignition\n"


@pytest.mark.parametrize("what", ["installConfig", "manifests", "release", "secrets"])
def test_a_set_of_other_inputs_is_made_again_as_a_whole(settled: Site, what: str) -> None:
    before = settled.kept()
    other = document()
    if what == "installConfig":
        other["installConfig"]["networking"]["machineNetwork"][0]["cidr"] = "192.168.201.0/24"
    elif what == "manifests":
        del other["manifests"]["99-okd-pool-infra.yaml"]
    elif what == "release":
        other["release"] = world.RELEASE.replace("a1", "b2")
        settled.tool(other["release"])
    else:
        del other["secretManifests"]["99-okd-ingress.yaml"]
    done = settled.run("ignition", other)
    assert f"other inputs: {what}" in done.stdout
    assert world.result(done)["reused"] is False
    after = settled.kept()
    assert after.password != before.password
    assert after.kubeconfig != before.kubeconfig
    assert all(after.configs[name] != before.configs[name] for name in NAMES)
    assert settled.published() == after.configs
    assert settled.host.read(f"{INSTALL}.before/auth/kubeadmin-password") == before.password
    assert set(settled.tree(f"{INSTALL}.before").values()) == {"700 0:0", "600 0:0"}


def test_a_damaged_set_is_made_again(settled: Site) -> None:
    settled.host.sh(f"truncate -s 1000 {INSTALL}/bootstrap.ign")
    done = settled.run("ignition")
    assert "the set is damaged (ValueError: bootstrap.ign changed since it was made)" in done.stdout
    assert world.result(done)["reused"] is False
    assert settled.published() == settled.kept().configs


@pytest.mark.parametrize("stack", sorted(STACK_FILES))
def test_the_programs_own_manifests_and_install_config_make_a_set(
    site: Site, stack: str, validate: Callable[[Path], str], tmp_path: Path
) -> None:
    plan = planned(stack)
    texts = plan.ignition_secret_texts(**(SECRETS | {"ca_certificate": CERTIFICATE}))
    assert site.host.agent("secrets", "release", document=texts).returncode == 0
    given = programs_document(plan)
    site.tool(given["release"])
    given["api"]["address"] = "127.0.0.1"
    done = site.run("ignition", given)
    assert world.result(done)["reused"] is False
    ours = len(given["manifests"]) + len(given["secretManifests"])
    assert f"{ours} of ours added, replacing cluster-scheduler-02-config.yml" in done.stdout
    assert validate(copied(site, tmp_path)).count(": valid") == 3


LABELLED = "from okd_host import files; files.SELINUX = '/etc/hostname'"


def test_where_selinux_is_enabled_the_type_is_set_before_the_files_are_served(settled: Site) -> None:
    settled.host.write("/usr/local/bin/restorecon", "#!/bin/sh\n", "755")
    settled.host.write(
        "/usr/local/bin/chcon",
        '#!/bin/sh\nls -d "$4"/* /var/www/okd/ignition/* > /run/seen\necho "$@" > /run/asked\n',
        "755",
    )
    settled.host.sh(f"rm {PUBLISHED}/master.ign")
    assert settled.ignition(snippet=LABELLED)["reused"] is True
    staged = "/var/www/okd/.ignition.okd-new/set"
    assert settled.host.read("/run/asked") == f"-R -t httpd_sys_content_t {staged}\n"
    seen = settled.host.read("/run/seen").split()
    assert seen == [f"{staged}/{name}" for name in NAMES] + [f"{PUBLISHED}/{NAMES[0]}", f"{PUBLISHED}/{NAMES[2]}"]
    settled.host.write("/usr/local/bin/chcon", "#!/bin/sh\necho invalid context; exit 1\n", "755")
    settled.host.sh(f"rm {PUBLISHED}/master.ign")
    done = settled.run("ignition", snippet=LABELLED)
    assert done.returncode == 1
    assert "stage 8/8 publish failed: the ignition configs cannot be labelled httpd_sys_content_t" in done.stderr
    assert "invalid context" in done.stderr
    assert settled.host.run("ls", PUBLISHED).split() == [NAMES[0], NAMES[2]]


def test_of_two_runs_at_once_the_second_waits_and_uses_what_the_first_made(site: Site) -> None:
    text = json.dumps(document())
    agents = []
    for _ in range(2):
        agent = subprocess.Popen(site.argv("ignition"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert agent.stdin
        agent.stdin.write(text)
        agent.stdin.close()
        agent.stdin = None
        agents.append(agent)
    printed = sorted(
        (agent.communicate(timeout=PATIENCE_SECONDS)[0] for agent in agents),
        key=lambda told: "to release ignition" in told,
    )
    assert '"reused": false' in printed[0]
    assert "to release ignition" in printed[1]
    assert '"reused": true' in printed[1]


def test_without_a_set_there_are_no_credentials(site: Site) -> None:
    none = site.run("credentials", {})
    assert (none.returncode, none.stdout) == (1, "")
    assert "make the ignition configs first (okd-host ignition)" in none.stderr


def test_credentials_are_one_line_of_json_and_nothing_else(settled: Site) -> None:
    done = settled.run("credentials", {})
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    kept = settled.kept()
    assert json.loads(done.stdout) == {"kubeconfig": kept.kubeconfig, "kubeadminPassword": kept.password}
    assert re.fullmatch(r"\w{5}(-\w{5}){3}", kept.password)
