package controllers

import (
	"context"
	"slices"
	"time"

	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

// Labels and taints of nodes.
const (
	labelPrefix = "node-role.kubernetes.io/"
	LabelMaster = labelPrefix + "master"
	LabelPlane  = labelPrefix + "control-plane"
	LabelWorker = labelPrefix + "worker"
	grace       = 40 * time.Second
)

// heartbeat is when this machine's clock saw a lease change: the machines' own clocks are not compared.
type heartbeat struct {
	renewed string
	at      time.Time
}

// ControlPlane tells whether a node belongs to the control plane.
func ControlPlane(node rest.Object) bool { return labelled(node, LabelPlane) }

// Ready tells whether a node's Ready condition is True.
func Ready(node rest.Object) bool {
	return rest.Text(rest.Condition(node, "Ready"), "status") == "True"
}

// Address returns a node's internal address.
func Address(node rest.Object) string {
	for _, row := range rest.Items(node, "status", "addresses") {
		if rest.Text(row, "type") == "InternalIP" {
			return rest.Text(row, "address")
		}
	}
	return ""
}

func labelled(node rest.Object, label string) bool {
	_, found := rest.Map(node, "metadata", "labels")[label]
	return found
}

func unschedulable(node rest.Object) bool { return rest.True(node, "spec", "unschedulable") }

// judge marks nodes whose heartbeat stopped as unknown. The kubelet itself says when it is back.
func (m *Manager) judge(ctx context.Context, now *snapshot) error {
	for _, node := range now.nodes {
		name := rest.Name(node)
		renewed := rest.Text(now.leases[name], "spec", "renewTime")
		last, known := m.seen[name]
		if !known {
			// As the real one: who was Ready when it began passes for Ready for the whole grace.
			last = heartbeat{renewed, time.Now()}
			m.seen[name] = last
		}
		if last.renewed != renewed {
			m.seen[name] = heartbeat{renewed, time.Now()}
			continue
		}
		silent := time.Since(last.at)
		if silent < grace || rest.Text(rest.Condition(node, "Ready"), "status") == "Unknown" {
			continue
		}
		log.Say("kube-controller-manager", "node %s is silent for %d s: NotReady", name, int(silent.Seconds()))
		rest.SetCondition(node, "Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
		if _, err := m.API.Update(ctx, rest.Nodes+"/"+name+"/status", node); err != nil {
			return err
		}
	}
	return nil
}

// roles keeps the control plane's nodes schedulable or not, as the Scheduler says.
func (m *Manager) roles(ctx context.Context, now *snapshot) error {
	schedulable := rest.True(now.scheduler, "spec", "mastersSchedulable")
	for _, node := range now.controlPlane() {
		taints := slices.DeleteFunc(rest.Items(node, "spec", "taints"), func(taint rest.Object) bool {
			return rest.Text(taint, "key") == LabelMaster
		})
		var worker any
		if schedulable {
			worker = ""
		} else {
			taints = append(taints, rest.Object{"key": LabelMaster, "effect": "NoSchedule"})
		}
		same := len(taints) == len(rest.Items(node, "spec", "taints"))
		if same && labelled(node, LabelWorker) == schedulable {
			continue
		}
		patch := rest.Object{
			"metadata": rest.Object{"labels": rest.Object{LabelWorker: worker}},
			"spec":     rest.Object{"taints": taints},
		}
		if _, err := m.API.Merge(ctx, rest.Nodes+"/"+rest.Name(node), patch); err != nil {
			return err
		}
		log.Say("machine-config-controller", "node %s: takes workloads: %t", rest.Name(node), schedulable)
	}
	return nil
}
