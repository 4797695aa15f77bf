package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

// verdict is what is true of an operator: its conditions' messages, empty for all is well.
type verdict struct {
	unavailable, progressing, degraded string
}

// operatorNames are the operators that a miniature cluster has, in the order in which they are reported.
var operatorNames = []string{
	"authentication", "console", "dns", "etcd", "ingress", "kube-apiserver", "machine-config", "network",
}

// verdicts tells what the snapshot means for each of them.
func verdicts(now *snapshot) map[string]verdict {
	plane := now.controlPlane()
	apis, configs, readyPlane := 0, 0, 0
	var silent []string
	for _, node := range plane {
		answers := now.probed[rest.Name(node)]
		if answers.api {
			apis++
		}
		if answers.machineConfig {
			configs++
		}
		if Ready(node) {
			readyPlane++
		} else {
			silent = append(silent, rest.Name(node))
		}
	}
	ready, notReady, routers, placed := 0, []string{}, 0, now.placement()
	for _, node := range now.nodes {
		if Ready(node) {
			ready++
		} else {
			notReady = append(notReady, rest.Name(node))
		}
		if Ready(node) && placed.fits(node) && !unschedulable(node) && now.probed[rest.Name(node)].ingress {
			routers++
		}
	}
	members := joined(now, plane)
	return map[string]verdict{
		"etcd":           etcdVerdict(now, plane, members, silent),
		"kube-apiserver": served("the API", apis, now.replicas),
		"machine-config": served("machine config", configs, now.replicas),
		"network":        {unless(ready > 0, "no node is Ready"), "", listed("not Ready: ", notReady)},
		"dns":            {unless(ready > 0, "no node is Ready"), "", ""},
		"ingress": {
			unless(routers > 0, "no router serves on a Ready, schedulable node of its placement"),
			unless(routers > 0, "waiting for a router"), "",
		},
		"authentication": {unless(routers > 0 && apis > 0, "the login page needs API and ingress"), "", ""},
		"console":        {unless(routers > 0, "the route needs an ingress"), "", ""},
	}
}

// joined returns how many control-plane nodes are members of the store.
func joined(now *snapshot, plane []rest.Object) (found int) {
	for _, node := range plane {
		if slices.Contains(now.members, rest.Name(node)) {
			found++
		}
	}
	return found
}

func etcdVerdict(now *snapshot, plane []rest.Object, members int, silent []string) verdict {
	leaving := ""
	if members < len(now.members) {
		leaving = "the bootstrap is still a member"
	}
	if members < now.replicas {
		leaving = count(members, now.replicas) + " control-plane machines are members"
	}
	return verdict{unless(members > 0, "no control-plane machine is a member"), leaving, listed("members not Ready: ", silent)}
}

func served(what string, on, of int) verdict {
	missing := fmt.Sprintf("%s is served by %s control-plane machines", what, count(on, of))
	// It rolls out until it was everywhere once; afterwards a machine that fails is a fault (report).
	return verdict{unless(on > 0, what+" is served by no control-plane machine"), unless(on >= of, missing), ""}
}

func unless(well bool, message string) string {
	if well {
		return ""
	}
	return message
}

func listed(before string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return before + strings.Join(names, ", ")
}

// report keeps the ClusterOperators' conditions.
func (m *Manager) report(ctx context.Context, now *snapshot) error {
	for _, node := range now.nodes {
		if !now.probed[rest.Name(node)].known {
			return nil // A new leader judges nothing before it has looked.
		}
	}
	version := rest.Text(now.version, "status", "desired", "version")
	found := verdicts(now)
	for _, name := range operatorNames {
		operator, told := now.operators[name], found[name]
		if operator == nil {
			made, err := m.API.Create(ctx, rest.Operators, rest.Object{
				"apiVersion": "config.openshift.io/v1", "kind": "ClusterOperator",
				"metadata": rest.Object{"name": name}, "spec": rest.Object{},
			})
			if err != nil {
				return err
			}
			operator = made
			now.operators[name] = made
		}
		// What was rolled out once and is not whole any more is degraded, it does not roll out again.
		if told.progressing != "" && rolledOut(operator) {
			told.degraded, told.progressing = told.progressing, ""
		}
		before := state(operator)
		if !told.write(operator, version) {
			continue
		}
		if _, err := m.API.Update(ctx, rest.Operators+"/"+name+"/status", operator); err != nil {
			return err
		}
		if now := state(operator); now != before {
			log.Say("cluster-version-operator", "operator %s is %s %s", name, now, told.unavailable+told.progressing)
		}
	}
	return nil
}

// state is how the journal words an operator.
func state(operator rest.Object) string {
	switch {
	case rest.Text(rest.Condition(operator, "Available"), "status") != "True":
		return "not available"
	case !rolledOut(operator):
		return "rolling out"
	}
	return "available"
}

func rolledOut(operator rest.Object) bool { return len(rest.Items(operator, "status", "versions")) > 0 }

func (v verdict) write(operator rest.Object, version string) bool {
	changed := rest.SetCondition(operator, "Degraded", word(v.degraded != ""), reason(v.degraded, "NotWhole"), v.degraded)
	changed = rest.SetCondition(operator, "Progressing", word(v.progressing != ""), reason(v.progressing, "RollingOut"), v.progressing) || changed
	changed = rest.SetCondition(operator, "Available", word(v.unavailable == ""), reason(v.unavailable, "NotServing"), v.unavailable) || changed
	changed = rest.SetCondition(operator, "Upgradeable", "True", "AsExpected", "") || changed
	if v.unavailable == "" && v.progressing == "" && !rolledOut(operator) {
		rest.Set(operator, []any{rest.Object{"name": "operator", "version": version}}, "status", "versions")
		changed = true
	}
	return changed
}

func word(yes bool) string {
	if yes {
		return "True"
	}
	return "False"
}

func reason(message, what string) string {
	if message == "" {
		return "AsExpected"
	}
	return what
}

// missing returns the operators that hold the installation up, in order.
func missing(now *snapshot) []string {
	return slices.DeleteFunc(slices.Clone(operatorNames), func(name string) bool {
		operator := now.operators[name]
		available := rest.Text(rest.Condition(operator, "Available"), "status") == "True"
		return available && rolledOut(operator)
	})
}
