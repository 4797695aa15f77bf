"""The services host's daemons with small hand-written configurations, on a bridge `cluster` in the host's namespaces."""

from __future__ import annotations

import json
from typing import Any

from tests.scripts.host import Host

ADDRESS = "192.168.200.254"
PROBE = "192.168.200.253"
FQDN = "services.okd.example.com"
DOMAIN = "okd.example.com"
PASSWORD = "the-right-password-of-the-registry"
MACHINES = {
    "bootstrap": ("192.168.200.10", "f8:75:a4:ac:01:00"),
    "control-plane-0": ("192.168.200.30", "f8:75:a4:ac:03:00"),
    "compute-0": ("192.168.200.20", "f8:75:a4:ac:02:00"),
}
IPXE = f"http://{ADDRESS}:8080/boot/boot.ipxe"
TFTP = ["lpxelinux.0", "pxelinux.cfg/01-f8-75-a4-ac-01-00"]


def kea() -> dict[str, Any]:
    def option(name: str, data: str) -> dict[str, Any]:
        return {"name": name, "data": data}

    options = [option(name, ADDRESS) for name in ("routers", "domain-name-servers", "ntp-servers")]
    return {
        "Dhcp4": {
            "interfaces-config": {"interfaces": ["cluster"], "dhcp-socket-type": "raw"},
            "lease-database": {"type": "memfile", "persist": True, "name": "/run/kea/leases.csv"},
            "match-client-id": False,
            "client-classes": [
                {"name": "ipxe", "test": "substring(option[77].hex,0,4) == 'iPXE'", "boot-file-name": IPXE}
            ],
            "reservations-out-of-pool": True,
            "subnet4": [
                {
                    "id": 1,
                    "subnet": "192.168.200.0/24",
                    "interface": "cluster",
                    "next-server": ADDRESS,
                    "boot-file-name": "lpxelinux.0",
                    "option-data": [*options, option("domain-name", DOMAIN)],
                    "reservations": [
                        {"hw-address": mac, "ip-address": address, "hostname": f"{name}.{DOMAIN}"}
                        for name, (address, mac) in MACHINES.items()
                    ],
                }
            ],
            "loggers": [{"name": "kea-dhcp4", "output_options": [{"output": "stdout"}], "severity": "INFO"}],
        }
    }


NAMED = """\
options {
    directory "/run/named";
    pid-file "/run/named/pid";
    session-keyfile "/run/named/key";
    listen-on { 192.168.200.254; };
    listen-on-v6 { none; };
    recursion no;
    dnssec-validation no;
};
controls { };
zone "okd.example.com" { type primary; file "/etc/bind/forward"; };
zone "200.168.192.in-addr.arpa" { type primary; file "/etc/bind/reverse"; };
"""
ZONE = """\
$TTL 300
@ IN SOA ns.okd.example.com. root.okd.example.com. 1 3600 600 86400 300
@ IN NS ns.okd.example.com.
"""
FORWARD = f"{ZONE}ns A {ADDRESS}\nservices A {ADDRESS}\napi A {ADDRESS}\n*.apps A {ADDRESS}\n" + "".join(
    f"{name} A {address}\n" for name, (address, _) in MACHINES.items()
)
REVERSE = f"{ZONE}254 PTR api.{DOMAIN}.\n254 PTR {FQDN}.\n" + "".join(
    f"{address.rpartition('.')[2]} PTR {name}.{DOMAIN}.\n" for name, (address, _) in MACHINES.items()
)
NGINX = """\
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/null;
events { }
http {
    log_format boot escape=json '{"time":"$time_iso8601","address":"$remote_addr","method":"$request_method",'
        '"uri":"$uri","args":"$args","status":$status,"bytes":$body_bytes_sent,'
        '"agent":"$http_user_agent","seconds":$request_time}';
    access_log /var/log/nginx/boot.log boot;
    server {
        listen 192.168.200.254:8080;
        root /srv/www;
        location = /report { access_log /var/log/nginx/report.log boot; return 204; }
    }
}
"""
REGISTRY = """\
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: /srv/registry}}
http:
  addr: 192.168.200.254:5000
  tls: {certificate: /run/tls/registry.crt, key: /run/tls/registry.key}
auth: {htpasswd: {realm: okd, path: /run/tls/htpasswd}}
"""
HAPROXY = """\
defaults
    mode tcp
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend api
    bind 192.168.200.254:6443
    bind 192.168.200.254:22623
    bind 192.168.200.254:443
    bind 192.168.200.254:80
frontend stats
    bind 192.168.200.254:9000
    mode http
    stats enable
    stats uri /
"""
CERTIFICATES = f"""
set -e
mkdir -p /run/tls && cd /run/tls
for ca in ca other; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.crt \
        -addext keyUsage=critical,keyCertSign 2>/dev/null
done
openssl req -newkey rsa:2048 -nodes -subj /CN={FQDN} -keyout registry.key -out registry.csr 2>/dev/null
printf 'subjectAltName=DNS:{FQDN},IP:{ADDRESS}' > extensions
openssl x509 -req -in registry.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile extensions \
    -out registry.crt 2>/dev/null
printf '%s' '{PASSWORD}' | htpasswd -niB -C 5 okd > htpasswd
"""
COMMANDS = {
    "kea-dhcp4-server.service": "kea-dhcp4 -c /etc/kea/kea-dhcp4.conf",
    "named.service": "named -f -c /etc/bind/named.conf",
    "chrony.service": "chronyd -d -x -f /etc/chrony/okd.conf",
    "tftpd-hpa.service": f"in.tftpd --foreground --listen -v --address {ADDRESS}:69 --secure /srv/tftp",
    "nginx.service": "nginx -c /etc/nginx/nginx.conf -g 'daemon off;'",
    "docker-registry.service": "docker-registry serve /etc/docker/registry/config.yml",
    "haproxy.service": "haproxy -db -f /etc/haproxy/haproxy.cfg",
}


def prepare(host: Host) -> None:
    """Write every configuration and make the bridge; starts nothing."""
    host.sh(f"ip link add cluster type bridge && ip address add {ADDRESS}/24 dev cluster && ip link set cluster up")
    # A bridge without a port has no carrier, and daemons would not bind to it.
    host.sh("ip link add port type veth peer name far && ip link set port master cluster up && ip link set far up")
    host.sh("mkdir -p /run/kea /run/lock/kea /run/named /run/chrony /var/log/nginx /var/lib/nginx /srv/registry")
    host.write("/etc/kea/kea-dhcp4.conf", json.dumps(kea()))
    host.write("/etc/bind/named.conf", NAMED)
    host.write("/etc/bind/forward", FORWARD)
    host.write("/etc/bind/reverse", REVERSE)
    host.write("/etc/chrony/okd.conf", "local stratum 8\nallow 192.168.200.0/24\npidfile /run/chrony/pid\nuser root\n")
    for path in TFTP:
        host.write(f"/srv/tftp/{path}", "x" * 5000)
    host.write("/srv/www/boot/boot.ipxe", "#!ipxe\n")
    host.write("/srv/www/images/kernel", "kernel\n")
    host.write("/etc/nginx/nginx.conf", NGINX)
    host.write("/etc/docker/registry/config.yml", REGISTRY)
    host.write("/etc/haproxy/haproxy.cfg", HAPROXY)
    host.sh(CERTIFICATES)
    for unit, command in COMMANDS.items():
        host.write(f"/etc/systemd/system/{unit}", f"[Service]\nExecStart={command}\n")


def start(host: Host, *units: str) -> None:
    """Start the daemons and wait until they listen."""
    host.run("systemctl", "start", *(units or COMMANDS))
    for port in (6443, 8080, 5000, 53) if not units else ():
        host.eventually(f"ss -ltn | grep {ADDRESS}:{port}")
    if not units:
        host.eventually("grep -q DHCP4_STARTED /run/fake-systemd/kea-dhcp4-server.service/log")


def document(host: Host) -> dict[str, Any]:
    """The smoke check's document for these daemons."""
    reverse = {address: ".".join(reversed(address.split("."))) for address, _ in [*MACHINES.values(), (ADDRESS, "")]}
    records = [(f"{name}.{DOMAIN}", "A", address) for name, (address, _) in MACHINES.items()]
    records += [(f"{reverse[address]}.in-addr.arpa", "PTR", f"{n}.{DOMAIN}") for n, (address, _) in MACHINES.items()]
    records += [(f"{reverse[ADDRESS]}.in-addr.arpa", "PTR", name) for name in (f"api.{DOMAIN}", FQDN)]
    records += [(f"anything.apps.{DOMAIN}", "A", ADDRESS), (FQDN, "A", ADDRESS)]
    return {
        "bridge": "cluster",
        "address": PROBE,
        "prefix": 24,
        "services": {"address": ADDRESS, "fqdn": FQDN},
        "machines": [
            {
                "name": name,
                "mac": mac,
                "address": address,
                "fqdn": f"{name}.{DOMAIN}",
                "router": ADDRESS,
                "dns": [ADDRESS],
                "ntp": [ADDRESS],
                "domain": DOMAIN,
                "nextServer": ADDRESS,
                "bootFile": {"pxe": "lpxelinux.0", "ipxe": IPXE},
            }
            for name, (address, mac) in MACHINES.items()
        ],
        "records": [{"name": name, "type": kind, "value": value} for name, kind, value in records],
        "ntp": {"server": ADDRESS, "maxOffsetSeconds": 1.0},
        "tftp": list(TFTP),
        "http": ["/boot/boot.ipxe", "/images/kernel"],
        "registry": {
            "url": f"https://{FQDN}:5000",
            "user": "okd",
            "password": PASSWORD,
            "ca": host.read("/run/tls/ca.crt"),
        },
        "haproxy": {"ports": [6443, 22623, 443, 80], "stats": 9000},
    }
