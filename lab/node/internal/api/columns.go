package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"okd-libvirt/lab/node/internal/store"
)

// columnsOf returns a resource's columns; of those that have none of their own, name and age.
func columnsOf(of Resource) []column {
	own := map[string][]column{
		"nodes": {
			{"Status", 0, nodeStatus}, {"Roles", 0, nodeRoles}, {"Age", 0, age},
			{"Version", 0, from("status", "nodeInfo", "kubeletVersion")},
			{"Internal-IP", 1, nodeAddress("InternalIP")}, {"External-IP", 1, nodeAddress("ExternalIP")},
			{"OS-Image", 1, from("status", "nodeInfo", "osImage")},
			{"Kernel-Version", 1, from("status", "nodeInfo", "kernelVersion")},
			{"Container-Runtime", 1, from("status", "nodeInfo", "containerRuntimeVersion")},
		},
		"certificatesigningrequests.certificates.k8s.io": {
			{"Age", 0, age}, {"SignerName", 0, from("spec", "signerName")}, {"Requestor", 0, from("spec", "username")},
			{"RequestedDuration", 0, requestedDuration}, {"Condition", 0, requestCondition},
		},
		"clusterversions.config.openshift.io": {
			{"Version", 0, completedVersion}, {"Available", 0, conditionIs("Available")},
			{"Progressing", 0, conditionIs("Progressing")}, {"Since", 0, conditionSince("Progressing")},
			{"Status", 0, conditionSays("Progressing")},
		},
		"clusteroperators.config.openshift.io": {
			{"Version", 0, operatorVersion}, {"Available", 0, conditionIs("Available")},
			{"Progressing", 0, conditionIs("Progressing")}, {"Degraded", 0, conditionIs("Degraded")},
			{"Since", 0, conditionSince("Available")}, {"Message", 0, operatorMessage},
		},
		"pods": {
			{"Ready", 0, podReady}, {"Status", 0, from("status", "phase")}, {"Restarts", 0, podRestarts}, {"Age", 0, age},
			{"IP", 1, from("status", "podIP")}, {"Node", 1, from("spec", "nodeName")},
		},
		"namespaces": {{"Status", 0, from("status", "phase")}, {"Age", 0, age}},
		"secrets": {
			{"Type", 0, from("type")}, {"Data", 0, size("data")}, {"Age", 0, age},
		},
		"configmaps": {{"Data", 0, size("data")}, {"Age", 0, age}},
	}
	name := column{"Name", 0, from("metadata", "name")}
	if columns, ok := own[of.qualified()]; ok {
		return append([]column{name}, columns...)
	}
	return []column{name, {"Age", 0, age}}
}

func from(path ...string) func(store.Object) any {
	return func(object store.Object) any {
		if found := text(object, path...); found != "" {
			return found
		}
		return "<none>"
	}
}

func size(name string) func(store.Object) any {
	return func(object store.Object) any {
		held, _ := at(object, name).(map[string]any)
		return len(held)
	}
}

func conditionIs(kind string) func(store.Object) any {
	return func(object store.Object) any { return text(condition(object, kind), "status") }
}

func conditionSays(kind string) func(store.Object) any {
	return func(object store.Object) any { return text(condition(object, kind), "message") }
}

func conditionSince(kind string) func(store.Object) any {
	return func(object store.Object) any { return since(text(condition(object, kind), "lastTransitionTime")) }
}

func nodeStatus(object store.Object) any {
	status := "Unknown"
	if ready := condition(object, "Ready"); ready != nil {
		status = "NotReady"
		if text(ready, "status") == "True" {
			status = "Ready"
		}
	}
	if unschedulable, _ := at(object, "spec", "unschedulable").(bool); unschedulable {
		status += ",SchedulingDisabled"
	}
	return status
}

func nodeRoles(object store.Object) any {
	var roles []string
	for name := range labels(object) {
		if role, ok := strings.CutPrefix(name, "node-role.kubernetes.io/"); ok && role != "" {
			roles = append(roles, role)
		}
	}
	if len(roles) == 0 {
		return "<none>"
	}
	slices.Sort(roles)
	return strings.Join(roles, ",")
}

func nodeAddress(kind string) func(store.Object) any {
	return func(object store.Object) any {
		for _, each := range items(object, "status", "addresses") {
			if text(each, "type") == kind {
				return text(each, "address")
			}
		}
		return "<none>"
	}
}

func requestCondition(object store.Object) any {
	found := []string{}
	for _, kind := range []string{"Approved", "Denied", "Failed"} {
		if condition(object, kind) != nil {
			found = append(found, kind)
		}
	}
	if len(found) == 0 {
		return "Pending"
	}
	if text(object, "status", "certificate") != "" {
		found = append(found, "Issued")
	}
	return strings.Join(found, ",")
}

func requestedDuration(object store.Object) any {
	if seconds := number(object, "spec", "expirationSeconds"); seconds > 0 {
		return roughly(time.Duration(seconds) * time.Second)
	}
	return "<none>"
}

func completedVersion(object store.Object) any {
	for _, each := range items(object, "status", "history") {
		if text(each, "state") == "Completed" {
			return text(each, "version")
		}
	}
	return ""
}

func operatorVersion(object store.Object) any {
	for _, each := range items(object, "status", "versions") {
		if text(each, "name") == "operator" {
			return text(each, "version")
		}
	}
	return ""
}

// operatorMessage is what oc shows: why it is not as it should be.
func operatorMessage(object store.Object) any {
	for _, wrong := range [][2]string{{"Degraded", "True"}, {"Available", "False"}, {"Progressing", "True"}} {
		if found := condition(object, wrong[0]); text(found, "status") == wrong[1] {
			return text(found, "message")
		}
	}
	return ""
}

func podReady(object store.Object) any {
	ready, all := 0, len(items(object, "spec", "containers"))
	for _, each := range items(object, "status", "containerStatuses") {
		if isReady, _ := at(each, "ready").(bool); isReady {
			ready++
		}
	}
	return fmt.Sprintf("%d/%d", ready, all)
}

func podRestarts(object store.Object) any {
	restarts := 0
	for _, each := range items(object, "status", "containerStatuses") {
		restarts += number(each, "restartCount")
	}
	return fmt.Sprint(restarts)
}
