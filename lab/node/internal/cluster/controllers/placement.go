package controllers

import (
	"context"
	"slices"

	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	deployments = "/apis/apps/v1/namespaces/" + ingressNamespace + "/deployments"
	deployment  = "router-default"
	// What the ingress operator takes where the IngressController does not say.
	usualReplicas = 2
)

// placement is where routers may run, and how many there shall be.
type placement struct {
	labels      rest.Object
	tolerations []rest.Object
	replicas    int
}

func (s *snapshot) placement() placement {
	found := placement{
		labels:      rest.Copy(rest.Map(s.controller, "spec", "nodePlacement", "nodeSelector", "matchLabels")),
		tolerations: rest.Items(s.controller, "spec", "nodePlacement", "tolerations"),
		replicas:    usualReplicas,
	}
	if len(found.labels) == 0 {
		found.labels = rest.Object{LabelWorker: ""}
	}
	found.labels["kubernetes.io/os"] = "linux"
	if given, ok := rest.Map(s.controller, "spec")["replicas"].(float64); ok {
		found.replicas = int(given)
	}
	return found
}

// fits tells whether a router may run on a node: it has the labels, and no taint that is not tolerated.
func (p placement) fits(node rest.Object) bool {
	return selects(p.labels, node) && !slices.ContainsFunc(rest.Items(node, "spec", "taints"), func(taint rest.Object) bool {
		return rest.Text(taint, "effect") != "PreferNoSchedule" &&
			!slices.ContainsFunc(p.tolerations, func(one rest.Object) bool { return tolerates(one, taint) })
	})
}

func tolerates(toleration, taint rest.Object) bool {
	key, effect := rest.Text(toleration, "key"), rest.Text(toleration, "effect")
	if effect != "" && effect != rest.Text(taint, "effect") || key != "" && key != rest.Text(taint, "key") {
		return false
	}
	return rest.Text(toleration, "operator") == "Exists" ||
		key != "" && rest.Text(toleration, "value") == rest.Text(taint, "value")
}

// deploy keeps the IngressController, which a cluster makes where nobody has, and the routers' Deployment.
func (m *Manager) deploy(ctx context.Context, now *snapshot) error {
	if len(now.controller) == 0 {
		kept := rest.Collection("operator.openshift.io/v1", "IngressController", "openshift-ingress-operator")
		made := rest.Object{
			"apiVersion": "operator.openshift.io/v1", "kind": "IngressController",
			"metadata": rest.Object{"name": "default"}, "spec": rest.Object{},
		}
		if _, err := m.API.Ensure(ctx, kept, made); err != nil {
			return err
		}
	}
	wanted := now.placement()
	spec := rest.Object{
		"replicas": wanted.replicas,
		"selector": rest.Object{"matchLabels": rest.Object{"app": "router"}},
		"template": rest.Object{
			"metadata": rest.Object{"labels": rest.Object{"app": "router"}},
			"spec": rest.Object{
				"nodeSelector": wanted.labels,
				"containers":   []any{rest.Object{"name": "router", "image": routerImage}},
			},
		},
	}
	if len(wanted.tolerations) > 0 {
		rest.Set(spec, wanted.tolerations, "template", "spec", "tolerations")
	}
	_, err := m.API.Ensure(ctx, deployments, rest.Object{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": rest.Object{"name": deployment}, "spec": spec,
	})
	if err != nil {
		return err
	}
	found, err := m.API.Get(ctx, deployments+"/"+deployment)
	if err != nil {
		return err
	}
	if !rest.Same(found["spec"], spec) {
		found["spec"] = spec
		if found, err = m.API.Update(ctx, deployments+"/"+deployment, found); err != nil {
			return err
		}
		log.Say("ingress-operator", "routers are placed by %v", wanted.labels)
	}
	return m.count(ctx, now, found, wanted)
}

// count says how many routers there are, how many where they belong, and how many of all serve.
func (m *Manager) count(ctx context.Context, now *snapshot, found rest.Object, wanted placement) error {
	nodes := map[string]rest.Object{}
	for _, node := range now.nodes {
		nodes[rest.Name(node)] = node
	}
	updated, available := 0, 0
	for _, pod := range now.pods {
		if node := nodes[rest.Text(pod, "spec", "nodeName")]; node != nil && wanted.fits(node) {
			updated++
		}
		if rest.Text(rest.Condition(pod, "Ready"), "status") == "True" {
			available++
		}
	}
	status := rest.Object{
		"replicas": len(now.pods), "updatedReplicas": updated, "availableReplicas": available,
		"observedGeneration": rest.Map(found, "metadata")["generation"],
	}
	if rest.Same(rest.Map(found, "status"), status) {
		return nil
	}
	found["status"] = status
	_, err := m.API.Update(ctx, deployments+"/"+deployment+"/status", found)
	return err
}
