"""The set of ignition configs and first credentials, as the real installer makes it on the services host.

Owns where the set is kept. A set belongs together: three ignition configs, a kubeconfig and a password, with
certificates of which the shortest-lived are good for a day.
"""

from okd_host.files import RELEASE

INSTALL = f"{RELEASE}/install"
# The set that the present one took the place of: the way back when a cluster turns out to live on it.
BEFORE = f"{RELEASE}/install.before"
NEW = f"{RELEASE}/install.new"
INSTALLED = "installed"
INPUTS = "inputs.json"
KUBECONFIG = "auth/kubeconfig"
PASSWORD = "auth/kubeadmin-password"
CONFIGS = ("bootstrap.ign", "master.ign", "worker.ign")
