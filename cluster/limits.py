"""How long anything waits: the one table of limits, for the program, the host agent and the lab, each with its reason.

Owns the numbers, and what kinds of limits there are. Does not own the waiting, nor install.limits of the settings.
A machine that is slow or busy is no machine that failed. A `Wait` is for work that goes on, or a peer that will come:
ten minutes at the least, with progress lines that say what is waited for; what is known to be gone (a process that
exited, a unit that failed, a refused connection after an answer) ends it at once. A `Try` is one question inside a wait
and is asked again until the wait is over: it ends because a packet, or the peer that was asked, may be gone for good.
A `Glance` looks at what may rightly be silent, changes nothing, and nobody takes its silence for more than that.

The agent carries this very file as `okd_host.limits`. Standard library only.
"""

from __future__ import annotations

from typing import NamedTuple


class Wait(NamedTuple):
    """So many seconds for something that takes its time, and why."""

    seconds: float
    reason: str


class Try(NamedTuple):
    """So many seconds for one question inside the wait `inside`, and why it ends before."""

    seconds: float
    inside: Wait
    reason: str


class Glance(NamedTuple):
    """So many seconds for a look at what may be silent, and why that harms nobody."""

    seconds: float
    reason: str


# On the services host.
PROGRAM = Wait(1800, "a program of the host: a parser, systemctl, journalctl, chronyc, ip; 51 s were seen for a parser")
UNIT = Wait(1800, "a unit starts, reloads or stops: systemd's own limits are raised in our drop-ins")
HEALTH = Wait(600, "a running daemon answers as it should; one that is not running fails at once")
PROBE = Try(150, HEALTH, "a probe that hangs on a daemon that was not ready yet is asked again")
FIRST_BOOT = Wait(3600, "cloud-init's end on an emulated host beside other work")
PACKAGES = Wait(3600, "the distribution's packages, over a slow way in")
LOCK = Wait(3600, "another run of the agent is at work: it ends, or its lock goes with it")
DEVICE = Wait(600, "udev shows a disk that libvirt has attached")
DELIVERY = Wait(3600, "a bundle: its packages, parser checks, units and health, side by side with other bundles")
CLOCK = Wait(600, "chrony follows a time server")
SMOKE = Wait(600, "the services answer a machine of the cluster network")
SMOKE_ANSWER = Try(30, SMOKE, "a server that was asked in a bad moment is asked again")
DATAGRAM = Try(3, SMOKE, "a datagram may be lost")
UNKNOWN_CARD = Glance(3, "no offer is the right answer, asked for once more when all known cards have theirs")

# What comes over the network.
DOWNLOAD = Wait(900, "a web server or registry that is silent in passing")
DOWNLOAD_SILENCE = Try(120, DOWNLOAD, "the way may be gone: the transfer goes on where it stopped")
MIRROR = Wait(6 * 3600, "a first mirror copies some 20 GiB; a run that is cut goes on where it stopped")
TOOLS = Wait(3600, "oc unpacks the release's tools: two minutes were seen")
INSTALLER = Wait(3600, "openshift-install makes keys, manifests and ignition configs")

# The cluster and its machines.
INSTALL = Wait(900, "install.limits in the settings, of which the shortest default is a quarter of an hour")
API_REQUEST = Try(60, INSTALL, "an API server that goes away answers nothing; another one may")
KUBELET = Try(30, INSTALL, "TLS with a kubelet on an emulated processor; it is asked again")
API_SILENCE = Wait(600, "the load balancer takes a control plane machine that is gone out of service")
GUARD_REQUEST = Glance(30, "before the installation nobody is there; refusals come at once")
ETCD = Wait(1800, "etcd's members catch up after a machine of theirs was made anew, and its guards notice")
HANDOVER = Wait(1800, "static pods of the control plane, revision after revision; bootstrapMinutes may say more")
RUNTIME_API = Wait(600, "HAProxy's own socket on the same host")
MACHINE_SHELL = Wait(600, "a command on a machine over SSH: login included")
MACHINE_LOGIN = Try(120, MACHINE_SHELL, "key exchange on an emulated processor; a machine that is off refuses at once")
LEASE = Glance(40, "the cluster's own grace for a kubelet, which renews its lease every ten seconds")
POWER_OFF = Wait(900, "a machine stops its services, each by its own limit")
GOING_OFF = Try(30, POWER_OFF, "a machine that was told to go off may fall silent without a last word")
NEIGHBOUR = Try(4.5, POWER_OFF, "the kernel asks three times, one second apart, then calls the address unreachable")
JOURNAL = Wait(600, "a machine's journal, when logs are gathered after a failure")
STATUS_API = Glance(20, "a picture for a reader, which says that the API was silent")
PORT = Glance(2, "whether a port is open on a machine that may be off; asked again at the next look")

# On the machine that runs Pulumi.
LIBVIRT = Wait(600, "libvirtd answers; one that is gone refuses at once")
LIBVIRT_OBJECT = Wait(3600, "a volume, a domain: images are copied and disks filled by a busy host")
IMAGE_LOOK = Glance(30, "the server of the services host's image: the provider asks it again, and waits longer")
SERVICES_ANSWER = Wait(900, "the services host's SSH answers; 109 s after its start were seen, idle")
SERVICES_LOGIN = Try(120, SERVICES_ANSWER, "TCP connection, key exchange and login on an emulated processor")
SERVICES_TCP = Glance(20, "a kernel that runs answers a connection, however busy; one that is off does not")
STATUS = Wait(600, "the services host tells what everything is at")
GRACE = Wait(1800, "a wait of the agent ends by its own limit, with words that say more than the engine's")

# The lab.
LAB_DAEMON = Wait(600, "libvirtd, the upstream's servers and the lab's namespaces come up")
LAB_TOOL = Wait(3600, "openssl, gpg, oc and qemu-img on a machine that compiles beside")
OFFICIAL = Glance(5, "an official download that is not there at once is built from its sources instead")
LAB_END = Glance(30, "what was told to end and has not is killed then; nothing waits for its last words")

TABLE = {name: limit for name, limit in globals().items() if isinstance(limit, (Wait, Try, Glance))}
