package kubelet

import (
	"context"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"

	"okd-libvirt/lab/node/internal/cluster/controllers"
	"okd-libvirt/lab/node/internal/cluster/rest"
)

// register makes the Node, or takes the one that is there over.
func (k *Kubelet) register(ctx context.Context) error {
	labels := rest.Object{
		"kubernetes.io/hostname": k.config.Hostname, "kubernetes.io/os": "linux", "kubernetes.io/arch": runtime.GOARCH,
		"node.openshift.io/os_id": "miniature",
	}
	spec := rest.Object{}
	if k.config.ControlPlane {
		labels[controllers.LabelMaster], labels[controllers.LabelPlane] = "", ""
		spec["taints"] = []any{rest.Object{"key": controllers.LabelMaster, "effect": "NoSchedule"}}
	} else {
		labels[controllers.LabelWorker] = ""
	}
	node := rest.Object{
		"apiVersion": "v1", "kind": "Node",
		"metadata": rest.Object{"name": k.config.Hostname, "labels": labels}, "spec": spec,
	}
	k.fill(node)
	_, err := k.api.Create(ctx, rest.Nodes, node)
	if rest.Refused(err, http.StatusConflict) {
		patch := rest.Object{"metadata": rest.Object{"labels": labels}}
		_, err = k.api.Merge(ctx, rest.Nodes+"/"+k.config.Hostname, patch)
	}
	if err != nil {
		k.api.Forget()
		return err
	}
	return k.status(ctx)
}

// status puts the node's status right. A Node that was deleted stays away until the machine starts again.
func (k *Kubelet) status(ctx context.Context) error {
	path := rest.Nodes + "/" + k.config.Hostname
	node, err := k.api.Get(ctx, path)
	if err != nil {
		return err
	}
	before := rest.Copy(rest.Map(node, "status"))
	k.fill(node)
	if rest.Same(before, node["status"]) {
		return nil
	}
	_, err = k.api.Update(ctx, path+"/status", node)
	return err
}

// fill writes what the kubelet knows into a Node's status.
func (k *Kubelet) fill(node rest.Object) {
	for _, kind := range []string{"MemoryPressure", "DiskPressure", "PIDPressure"} {
		told(node, kind, "False", "KubeletHasSufficient"+strings.TrimSuffix(kind, "Pressure"), "kubelet has enough")
	}
	if k.leaving.Load() {
		told(node, "Ready", "False", "KubeletNotReady", "node is shutting down")
	} else {
		told(node, "Ready", "True", "KubeletReady", "kubelet is posting ready status")
	}
	size := rest.Object{"cpu": strconv.Itoa(runtime.NumCPU()), "memory": memory() + "Ki", "pods": "250"}
	rest.Set(node, size, "status", "capacity")
	rest.Set(node, size, "status", "allocatable")
	rest.Set(node, []any{
		rest.Object{"type": "InternalIP", "address": k.config.Address},
		rest.Object{"type": "Hostname", "address": k.config.Hostname},
	}, "status", "addresses")
	uuid := strings.ToLower(k.config.UUID)
	rest.Set(node, rest.Object{
		"systemUUID": uuid, "machineID": strings.ReplaceAll(uuid, "-", ""), "bootID": bootID,
		"kubeletVersion": Version, "kubeProxyVersion": Version, "architecture": runtime.GOARCH, "operatingSystem": "linux",
		"osImage": "Miniature CoreOS (lab)", "kernelVersion": kernel, "containerRuntimeVersion": "miniature://1",
	}, "status", "nodeInfo")
}

// told sets a condition, and when the kubelet said so: a heartbeat that changes nothing is the lease's.
func told(node rest.Object, kind, status, reason, message string) {
	if rest.SetCondition(node, kind, status, reason, message) {
		rest.Condition(node, kind)["lastHeartbeatTime"] = rest.Now()
	}
}

var (
	bootID = strings.TrimSpace(readText("/proc/sys/kernel/random/boot_id"))
	kernel = strings.TrimSpace(readText("/proc/sys/kernel/osrelease"))
)

func memory() string {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "0"
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return "0"
	}
	return fields[1]
}
