"""Deliveries to a real HAProxy: the parser's veto, reloads without a new process, and the way back."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.scripts.host import Host, wait_for

pytestmark = pytest.mark.daemons

CONFIG = "/etc/haproxy/haproxy.cfg"
UNIT = "/etc/systemd/system/balancer.service"
PAGES = "/etc/haproxy/pages"
SECRET = "a-very-secret-line-of-a-key\nanother-secret-line\n"


def haproxy(answer: str = "one", port: int = 8404, extra: tuple[str, ...] = ()) -> list[str]:
    return [
        "global",
        "    stats socket /run/haproxy.sock level admin",
        "defaults",
        "    mode http",
        "    timeout client 5s",
        "    timeout server 5s",
        "    timeout connect 5s",
        *extra,
        "frontend page",
        f"    bind 127.0.0.1:{port}",
        f'    http-request return status 200 content-type text/plain string "{answer}"',
    ]


def row(path: str, lines: list[str], **more: Any) -> dict[str, Any]:
    return {"path": path, "owner": "root", "group": "root", "mode": "0644", "lines": lines, **more}


def document(answer: str = "one", **more: Any) -> dict[str, Any]:
    unit = [
        "[Service]",
        f"ExecStart=/usr/sbin/haproxy -W -db -f {CONFIG}",
        "ExecReload=/bin/kill -USR2 $MAINPID",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    expected = f'test "$(curl -s http://127.0.0.1:8404/)" = {answer}'
    return {
        "service": "balancer",
        "packages": ["haproxy"],
        "files": [
            row(CONFIG, haproxy(answer), group="haproxy", mode="0640"),
            row(UNIT, unit),
            row(f"{PAGES}/a", ["a page"]),
        ],
        "owns": [PAGES],
        "checks": [{"name": "haproxy -c", "argv": ["haproxy", "-c", "-f", CONFIG]}],
        "units": ["balancer.service"],
        "reload": ["systemctl", "reload", "balancer.service"],
        "restart_on": ["/etc/systemd/system/*"],
        "health": [{"name": "answers", "argv": ["sh", "-c", expected]}, {"name": "listens", "tcp": "127.0.0.1:8404"}],
        **more,
    }


def with_file(changed: dict[str, Any], path: str, lines: list[str]) -> dict[str, Any]:
    files = [file for file in changed["files"] if file["path"] != path]
    return {**changed, "files": [*files, row(path, lines)]}


def page(host: Host) -> str:
    return host.run("curl", "-s", "http://127.0.0.1:8404/", check=False)


def pid(host: Host) -> str:
    return host.read("/run/fake-systemd/balancer.service/pid")


@pytest.fixture
def served(host: Host) -> Host:
    """A host on which version one of the service runs."""
    first = host.agent("deliver", document=document())
    assert first.returncode == 0
    host.calls()
    return host


def test_a_first_delivery_starts_and_enables_the_daemon(host: Host) -> None:
    done = host.agent("deliver", document=document())
    assert done.returncode == 0
    assert "stage 1/6 stage: 3 files, 3 changed" in done.stdout
    assert f"  {CONFIG} (content)" in done.stdout, "the package's own file is replaced"
    assert page(host) == "one"
    assert host.run("stat", "-c", "%U %G %a", CONFIG) == "root haproxy 640\n"
    assert host.calls() == [
        "daemon-reload",
        "enable balancer.service",
        "start balancer.service",
    ]


def test_an_unchanged_delivery_touches_nothing(served: Host) -> None:
    before = served.run("stat", "-c", "%Y %i %n", CONFIG, UNIT), pid(served)
    done = served.agent("deliver", document=document())
    assert done.returncode == 0
    assert "3 files, 0 changed" in done.stdout
    assert "nothing (nothing changed and it runs)" in done.stdout
    assert (served.run("stat", "-c", "%Y %i %n", CONFIG, UNIT), pid(served)) == before
    assert served.calls() == []


def test_a_stopped_daemon_is_started_though_nothing_changed(served: Host) -> None:
    served.run("systemctl", "stop", "balancer.service")
    done = served.agent("deliver", document=document())
    assert done.returncode == 0
    assert "start (not running)" in done.stdout
    assert page(served) == "one"


def test_a_changed_file_reloads_the_same_process(served: Host) -> None:
    before = pid(served)
    done = served.agent("deliver", document=document("two"))
    assert done.returncode == 0
    assert "3 files, 1 changed" in done.stdout
    assert page(served) == "two"
    assert pid(served) == before
    assert served.calls() == ["reload balancer.service"]


def test_a_file_that_cannot_be_reloaded_restarts(served: Host) -> None:
    before = pid(served)
    changed = document()
    changed["files"][1]["lines"].insert(1, "Nice=5")
    done = served.agent("deliver", document=changed)
    assert done.returncode == 0
    assert f"restart ({UNIT} needs it)" in done.stdout
    assert pid(served) != before
    assert served.calls() == ["daemon-reload", "restart balancer.service"]


def test_a_daemon_that_reads_at_each_request_is_left_alone(served: Host) -> None:
    files = document()["files"]
    files[2]["lines"] = ["another page"]
    done = served.agent("deliver", document=document(files=files, reload=[]))
    assert done.returncode == 0
    assert "nothing (the daemon reads its files at each request)" in done.stdout
    assert served.calls() == []


def test_a_file_edited_by_hand_is_put_right(served: Host) -> None:
    served.sh(f"echo '# by hand' >> {CONFIG}; chmod 600 {PAGES}/a")
    done = served.agent("deliver", document=document())
    assert done.returncode == 0
    assert f"{CONFIG} (content)" in done.stdout
    assert f"{PAGES}/a (mode)" in done.stdout


def test_the_parser_refuses_and_the_old_configuration_still_answers(served: Host) -> None:
    bad = document("two")
    bad["files"][0]["lines"].append("    bogus-keyword yes")
    before = served.run("stat", "-c", "%Y %i", CONFIG), pid(served)
    done = served.agent("deliver", document=bad)
    assert done.returncode == 1
    assert "stage 2/6 check failed: haproxy -c refused" in done.stderr
    assert "unknown keyword 'bogus-keyword'" in done.stderr
    assert f"file:       {CONFIG}\n" in done.stderr
    assert "no file was touched; balancer.service active" in done.stderr
    assert "remedy:" in done.stderr
    assert (served.run("stat", "-c", "%Y %i", CONFIG), pid(served)) == before
    assert page(served) == "one"
    assert served.calls() == []
    assert served.run("ls", "/run/okd-libvirt/stage") == ""


def broken_at_run_time() -> dict[str, Any]:
    """The parser accepts it, the health check never will."""
    return document("three", health=[{"name": "never", "argv": ["sh", "-c", "echo the page is wrong; exit 7"]}])


def test_an_unhealthy_service_gets_everything_back(served: Host) -> None:
    served.waits(HEALTH=2)
    served.sh(f"ln -s /etc/hostname {PAGES}/link; echo keep > {PAGES}/stray; chmod 640 {PAGES}/stray")
    bad = broken_at_run_time()
    bad["files"] += [row(f"{PAGES}/link", ["no link"]), row("/etc/haproxy/new/deep/file", ["new"])]
    done = served.agent("deliver", document=bad)
    assert done.returncode == 1
    assert f"{PAGES}/stray (removed)" in done.stdout
    assert f"{PAGES}/link (replaces a symbolic link)" in done.stdout
    assert "stage 6/6 health failed: health check never still fails" in done.stderr
    assert "the page is wrong" in done.stderr
    assert "in service: the files from before (4 restored); balancer.service active" in done.stderr
    assert served.eventually("test $(curl -s http://127.0.0.1:8404/) = one && echo back") == "back\n"
    assert served.run("readlink", f"{PAGES}/link") == "/etc/hostname\n"
    assert served.sh(f"cat {PAGES}/stray; stat -c %a {PAGES}/stray") == "keep\n640\n"
    assert served.sh("ls /etc/haproxy/new", check=False).endswith("No such file or directory\n")
    assert served.calls() == ["reload balancer.service", "reload balancer.service"]


def test_a_daemon_that_dies_on_the_new_files_is_brought_back(served: Host) -> None:
    # Legal for the parser, but the port belongs to somebody else when the daemon binds it.
    listen = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.2", "8404"]
    holder = subprocess.Popen(served.argv(listen), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        changed = document("two", restart_on=["*"])
        changed["files"][0]["lines"].append("    bind 127.0.0.2:8404")
        served.eventually("ss -ltn | grep 127.0.0.2:8404")
        served.sh("echo 'curl -s -o /dev/null http://127.0.0.1:8404/' > /run/fake-systemd/balancer.service/up")
        done = served.agent("deliver", document=changed)
    finally:
        holder.kill()
        holder.wait()
    assert done.returncode == 1
    assert "stage 5/6 reload failed: restart of balancer.service failed" in done.stderr
    assert "127.0.0.2:8404" in done.stderr, "the daemon's own message"
    assert "balancer.service active" in done.stderr
    assert page(served) == "one"


def test_a_failed_first_delivery_leaves_nothing(host: Host) -> None:
    host.waits(HEALTH=2)
    original = host.read(CONFIG)
    done = host.agent("deliver", document=broken_at_run_time())
    assert done.returncode == 1
    assert "balancer.service inactive" in done.stderr
    assert host.read(CONFIG) == original
    assert host.sh(f"ls {UNIT} {PAGES}", check=False).count("No such file") == 2
    assert host.run("pgrep", "haproxy", check=False) == ""
    assert host.calls()[-3:] == ["stop balancer.service", "disable balancer.service", "daemon-reload"]


def test_a_file_leaves_an_owned_directory(served: Host) -> None:
    served.sh(f"mkdir {PAGES}/below; echo x > {PAGES}/below/file; echo x > {PAGES}/stray")
    done = served.agent("deliver", document=document())
    assert done.returncode == 0
    assert "3 files, 1 changed" in done.stdout
    assert served.run("ls", PAGES) == "a\nbelow\n", "directories below an owned one are left alone"


def held(answer: str) -> dict[str, Any]:
    """A delivery that stays in its last stage until the test lets it `go`."""
    changed = document(answer)
    changed["health"].insert(0, {"name": "held", "argv": ["sh", "-c", "until test -e /run/go; do sleep 0.1; done"]})
    return changed


def go(served: Host) -> None:
    served.sh("touch /run/go")


def test_a_run_killed_between_swap_and_health_is_rolled_back_by_the_next(served: Host) -> None:
    slow = held("two")
    slow["files"].append(row(f"{PAGES}/b", ["b"]))
    agent = served.start_agent("deliver", slow)
    wait_for(agent, "stage 5/6")
    served.kill_agent()
    go(served)
    agent.communicate()
    served.eventually("test $(curl -s http://127.0.0.1:8404/) = two")
    assert served.run("ls", "/var/lib/okd-libvirt/journal/balancer").split() == ["0", "journal.json"]
    done = served.agent("deliver", document=document())
    assert done.returncode == 0
    assert "an earlier run was interrupted: 2 files go back" in done.stdout
    assert "3 files, 0 changed" in done.stdout
    assert served.eventually("test $(curl -s http://127.0.0.1:8404/) = one && echo back") == "back\n"
    assert served.run("ls", PAGES) == "a\n"
    assert served.run("ls", "/var/lib/okd-libvirt/journal") == ""


@pytest.mark.parametrize("moment", [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6])
def test_a_run_killed_at_any_moment_converges(served: Host, moment: float) -> None:
    agent = served.start_agent("deliver", document("two", restart_on=["*"]))
    time.sleep(moment)
    served.kill_agent()
    agent.communicate()
    done = served.agent("deliver", document=document("three"))
    assert done.returncode == 0
    assert page(served) == "three"
    assert served.run("ls", "/var/lib/okd-libvirt/journal") == ""
    assert served.run("ls", "-A", "/etc/haproxy").split() == ["errors", "haproxy.cfg", "pages"]


def test_a_lost_connection_does_not_stop_the_run(served: Host) -> None:
    agent = served.start_agent("deliver", held("two"))
    wait_for(agent, "stage 3/6")
    assert agent.stdout
    assert agent.stderr
    agent.stdout.close()
    agent.stderr.close()
    served.sh("kill -HUP $(cat /run/agent-pid)")
    go(served)
    assert agent.wait(PATIENCE_SECONDS) == 0
    assert page(served) == "two"
    assert served.run("ls", "/var/lib/okd-libvirt/journal") == ""


def test_services_delivered_side_by_side_share_what_systemd_reads_again(host: Host) -> None:
    host.sh("mkdir /run/fake-systemd && echo 2 > /run/fake-systemd/slow-reload")

    def sleeper(number: int) -> dict[str, Any]:
        unit = f"sleeper-{number}.service"
        lines = ["[Service]", "ExecStart=/bin/sleep 600", "[Install]", "WantedBy=multi-user.target"]
        return {"service": f"sleeper-{number}", "files": [row(f"/etc/systemd/system/{unit}", lines)], "units": [unit]}

    agents = [host.start_agent("deliver", sleeper(number)) for number in range(6)]
    for agent in agents:
        output, errors = agent.communicate(timeout=PATIENCE_SECONDS)
        assert agent.returncode == 0, output + errors
        assert "stage 4/6 units: daemon-reload, enabled sleeper-" in output
    assert 1 <= host.calls().count("daemon-reload") < 6
    later = host.agent("deliver", document=sleeper(9))
    assert later.returncode == 0
    assert host.calls().count("daemon-reload") == 1, "an older reading does not count"


def test_a_second_run_names_the_one_that_holds_the_lock(served: Host) -> None:
    agent = served.start_agent("deliver", held("two"))
    wait_for(agent, "stage 5/6")
    second = served.start_agent("deliver", document("three"))
    wait_for(second, "waiting for deliver (pid ")
    go(served)
    agent.communicate()
    second.communicate()
    assert second.returncode == 0
    assert page(served) == "three"


def test_an_ordinary_user_cannot_hold_a_lock_of_the_agent(served: Host) -> None:
    for name in ("balancer", "check-0"):
        served.write(f"/run/okd-libvirt/lock/{name}", "", "644")
    assert served.agent("deliver", document=document("two")).returncode == 0
    modes = served.sh("stat -c %a /run/okd-libvirt/lock/balancer /run/okd-libvirt/lock/check-0").split()
    assert modes == ["600", "600"]


PROBE = (
    f"test -e {PAGES}/b && ! test -e {PAGES}/stray && test $(stat -c %a:%U /etc/haproxy/sub/x) = 600:daemon && false"
)


@pytest.mark.parametrize("overlay", [True, False])
def test_a_check_sees_the_files_at_their_final_paths(served: Host, overlay: bool) -> None:
    if not overlay:
        served.write(
            "/usr/local/sbin/mount",
            """\
            #!/bin/sh
            case "$*" in *overlay*) echo "unknown filesystem type 'overlay'" >&2; exit 32;; esac
            exec /usr/bin/mount "$@"
            """,
            "755",
        )
    served.sh(f"echo x > {PAGES}/stray")
    changed = document(checks=[{"name": "probe", "argv": ["sh", "-c", f"{PROBE}; echo saw $?; exit 3"]}])
    changed["files"] += [row(f"{PAGES}/b", ["b"]), row("/etc/haproxy/sub/x", ["x"], owner="daemon", mode="0600")]
    done = served.agent("deliver", document=changed)
    assert done.returncode == 1
    assert "probe refused the new files of the service (exit 3)" in done.stderr
    assert "saw 1" in done.stderr, "every condition but the last one held"
    assert served.sh(f"ls {PAGES}") == "a\nstray\n"


def test_a_host_that_can_mount_nothing_says_so(served: Host) -> None:
    served.write("/usr/local/sbin/mount", "#!/bin/sh\necho no mounts here >&2\nexit 1\n", "755")
    done = served.agent("deliver", document=document("two"))
    assert done.returncode == 1
    assert "neither an overlay nor a copy can be mounted" in done.stderr
    assert "no mounts here" in done.stderr
    assert page(served) == "one"


def secret_document(text: str) -> dict[str, Any]:
    import hashlib

    key = row("/etc/haproxy/key", [])
    del key["lines"]
    key |= {"mode": "0600", "secret": "registry-key", "sha256": hashlib.sha256(text.encode()).hexdigest()}
    changed = document()
    return {**changed, "files": [*changed["files"], key]}


def test_a_secret_is_delivered_apart_and_verified(served: Host) -> None:
    stored = served.agent("secrets", "balancer", document={"registry-key": SECRET})
    assert stored.returncode == 0
    assert "registry-key for balancer, 1 changed" in stored.stdout
    assert served.sh("stat -c %a:%U /var/lib/okd-libvirt/secrets/balancer/registry-key") == "600:root\n"
    assert served.sh("stat -c %a /var/lib/okd-libvirt/secrets/balancer") == "700\n"
    done = served.agent("deliver", document=secret_document(SECRET))
    assert done.returncode == 0
    assert served.read("/etc/haproxy/key") == SECRET
    assert served.sh("stat -c %a /etc/haproxy/key") == "600\n"
    again = served.agent("secrets", "balancer", document={"registry-key": SECRET})
    assert "0 changed" in again.stdout
    for output in (stored, done, again):
        assert "very-secret" not in output.stdout + output.stderr


def test_a_secret_with_another_hash_is_refused(served: Host) -> None:
    served.agent("secrets", "balancer", document={"registry-key": "old text that was not rotated\n"})
    done = served.agent("deliver", document=secret_document(SECRET))
    assert done.returncode == 1
    assert "/etc/haproxy/key: secret registry-key with the expected SHA-256 is not on this host" in done.stderr
    assert "okd-host secrets balancer" in done.stderr
    assert served.sh("ls /etc/haproxy/key", check=False).endswith("No such file or directory\n")


def test_a_check_that_prints_a_secret_prints_it_redacted(served: Host) -> None:
    served.agent("secrets", "balancer", document={"registry-key": SECRET})
    changed = {
        **secret_document(SECRET),
        "checks": [{"name": "chatty", "argv": ["grep", "-H", "", "/etc/haproxy/key"]}],
    }
    changed["checks"].append({"name": "no", "argv": ["sh", "-c", "cat /etc/haproxy/key; exit 1"]})
    done = served.agent("deliver", document=changed)
    assert done.returncode == 1
    assert "REDACTED" in done.stderr
    assert "secret-line" not in done.stdout + done.stderr


def test_every_problem_of_a_document_is_reported_at_once(served: Host) -> None:
    bad = document()
    bad["files"] += [
        row("relative", []),
        row("/etc/haproxy/who", [], owner="nobody-here"),
        row("/etc/haproxy/none", [], copyOf="/usr/share/missing"),
        row(CONFIG, []),
    ]
    bad["extra"] = 1
    done = served.agent("deliver", document=bad)
    assert done.returncode == 1
    assert "(5 problems)" in done.stderr
    for part in ("unknown key 'extra'", "relative: path must be", "nobody-here", "exactly one of", "named twice"):
        assert part in done.stderr


def test_a_copy_of_a_file_of_a_package_is_delivered(served: Host) -> None:
    changed = document()
    copy = row("/srv/tftp/copy", [])
    del copy["lines"]
    changed["files"].append({**copy, "copyOf": "/bin/true"})
    assert served.agent("deliver", document=changed).returncode == 0
    served.run("cmp", "/bin/true", "/srv/tftp/copy")


def test_selinux_is_told_before_the_swap_and_labels_after_it(served: Host) -> None:
    note = (
        '#!/bin/sh\necho "$(basename $0) $*" >> /run/selinux\ncase "$*" in import*) cat "$3" >> /run/selinux;; esac\n'
    )
    served.write("/usr/local/sbin/semanage", note, "755")
    served.write("/usr/local/sbin/restorecon", note, "755")
    served.sh("mount -t tmpfs none /sys/fs && mkdir /sys/fs/selinux && touch /sys/fs/selinux/enforce")
    changed = document("two")
    changed["files"][0]["selinux"] = "etc_t"
    changed["selinux"] = {
        "booleans": ["haproxy_connect_any"],
        "ports": [{"port": 22623, "protocol": "tcp", "type": "http_port_t"}],
    }
    assert served.agent("deliver", document=changed).returncode == 0
    told = served.read("/run/selinux").splitlines()
    wanted = [
        "boolean -m -1 haproxy_connect_any",
        "port -a -t http_port_t -p tcp 22623",
        r"fcontext -a -f a -t etc_t '/etc/haproxy/haproxy\.cfg'",
    ]
    start = told.index(wanted[0])
    assert told[start : start + 3] == wanted
    assert f"restorecon {CONFIG}" in told[start:]
