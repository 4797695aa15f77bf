package controllers

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	ingressNamespace = "openshift-ingress"
	routerPods       = rest.Namespaces + "/" + ingressNamespace + "/pods"
	// RouterSecret holds what the routers serve with.
	RouterSecret = "router-certs-default"
	replicaSet   = "router-default-miniature"
	routerImage  = "miniature/haproxy-router"
	publishEvery = 20 * time.Second
	defaultRoute = "/apis/operator.openshift.io/v1/namespaces/openshift-ingress-operator/ingresscontrollers/default"
)

// ingress keeps routers where the IngressController places them, the certificate that they serve with, and the console's
// route.
func (m *Manager) ingress(ctx context.Context, now *snapshot) error {
	err := errors.Join(m.deploy(ctx, now), m.routers(ctx, now))
	if time.Since(m.published) < publishEvery {
		return err
	}
	published := errors.Join(m.certificate(ctx), m.route(ctx))
	if published == nil {
		m.published = time.Now()
	}
	return errors.Join(err, published)
}

// routers starts what is missing, one a machine, and ends what is elsewhere once somebody serves where they belong.
func (m *Manager) routers(ctx context.Context, now *snapshot) error {
	nodes, running, wanted := map[string]rest.Object{}, map[string]bool{}, now.placement()
	live, serving := 0, false
	for _, node := range now.nodes {
		nodes[rest.Name(node)] = node
	}
	for _, pod := range now.pods {
		place := rest.Text(pod, "spec", "nodeName")
		if node := nodes[place]; node != nil && wanted.fits(node) && Ready(node) {
			live++
			serving = serving || now.probed[place].ingress
		}
	}
	for _, pod := range now.pods {
		place := rest.Text(pod, "spec", "nodeName")
		running[place] = true
		node := nodes[place]
		if node == nil || !wanted.fits(node) && serving {
			if err := m.API.Delete(ctx, routerPods+"/"+rest.Name(pod)); err != nil {
				return err
			}
			log.Say("ingress-operator", "router of %s is removed", place)
			continue
		}
		if err := m.status(ctx, pod, Address(node), now.probed[place].ingress && Ready(node)); err != nil {
			return err
		}
	}
	for _, node := range now.nodes {
		name := rest.Name(node)
		if live >= wanted.replicas || running[name] || !wanted.fits(node) || unschedulable(node) || !Ready(node) {
			continue
		}
		live++
		if err := m.start(ctx, name); err != nil {
			return err
		}
		log.Say("ingress-operator", "router of %s is started", name)
	}
	return nil
}

// start makes the pod of a router; the kubelet of its node serves while it is there.
func (m *Manager) start(ctx context.Context, node string) error {
	owner := rest.Object{
		"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": rest.Object{"name": replicaSet},
		"spec": rest.Object{"selector": rest.Object{"matchLabels": rest.Object{"app": "router"}}},
	}
	sets := "/apis/apps/v1/namespaces/" + ingressNamespace + "/replicasets"
	if _, err := m.API.Ensure(ctx, sets, owner); err != nil {
		return err
	}
	owner, err := m.API.Get(ctx, sets+"/"+replicaSet)
	if err != nil {
		return err
	}
	short, _, _ := strings.Cut(node, ".")
	_, err = m.API.Ensure(ctx, routerPods, rest.Object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": rest.Object{
			"name":   "router-default-" + short,
			"labels": rest.Object{"app": "router", "ingresscontroller.operator.openshift.io/deployment-ingresscontroller": "default"},
			"ownerReferences": []any{rest.Object{
				"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replicaSet, "controller": true,
				"uid": rest.Text(owner, "metadata", "uid"),
			}},
		},
		"spec": rest.Object{
			"nodeName":   node,
			"containers": []any{rest.Object{"name": "router", "image": routerImage}},
		},
		"status": rest.Object{"phase": "Pending"},
	})
	return err
}

func (m *Manager) status(ctx context.Context, pod rest.Object, address string, serves bool) error {
	word, reason := "False", "NotServing"
	if serves {
		word, reason = "True", "Serving"
	}
	changed := rest.SetCondition(pod, "Ready", word, reason, "")
	if serves && rest.Text(pod, "status", "phase") != "Running" {
		rest.Set(pod, "Running", "status", "phase")
		rest.Set(pod, address, "status", "podIP")
		rest.Set(pod, address, "status", "hostIP")
		changed = true
	}
	if !changed {
		return nil
	}
	rest.Set(pod, []any{rest.Object{
		"name": "router", "ready": serves, "restartCount": 0, "image": routerImage,
		"imageID": "", "state": rest.Object{"running": rest.Object{"startedAt": rest.Now()}},
	}}, "status", "containerStatuses")
	_, err := m.API.Update(ctx, routerPods+"/"+rest.Name(pod)+"/status", pod)
	return err
}

// certificate publishes the user's default certificate, or the cluster's own, to the routers and to the installer.
func (m *Manager) certificate(ctx context.Context) error {
	pair := rest.Object{
		"tls.crt": base64.StdEncoding.EncodeToString(m.Credentials.Ingress.Certificate),
		"tls.key": base64.StdEncoding.EncodeToString(m.Credentials.Ingress.Key),
	}
	bundle := string(m.Credentials.IngressCA)
	controller, err := m.API.Get(ctx, defaultRoute)
	if err != nil && !rest.Refused(err, 404) {
		return err
	}
	if name := rest.Text(controller, "spec", "defaultCertificate", "name"); name != "" {
		given, err := m.API.Get(ctx, rest.Namespaces+"/"+ingressNamespace+"/secrets/"+name)
		if err != nil {
			return err
		}
		text, err := base64.StdEncoding.DecodeString(rest.Text(given, "data", "tls.crt"))
		if err != nil {
			return err
		}
		pair, bundle = rest.Map(given, "data"), string(text)
	}
	err = m.put(ctx, ingressNamespace, "secrets", rest.Object{
		"apiVersion": "v1", "kind": "Secret", "metadata": rest.Object{"name": RouterSecret},
		"type": "kubernetes.io/tls", "data": pair,
	})
	return errors.Join(err, m.put(ctx, "openshift-config-managed", "configmaps", rest.Object{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": rest.Object{"name": "default-ingress-cert"},
		"data": rest.Object{"ca-bundle.crt": bundle},
	}))
}

// put makes an object whose data is as given.
func (m *Manager) put(ctx context.Context, namespace, resource string, wanted rest.Object) error {
	collection := rest.Namespaces + "/" + namespace + "/" + resource
	found, err := m.API.Get(ctx, collection+"/"+rest.Name(wanted))
	if rest.Refused(err, 404) {
		_, err = m.API.Create(ctx, collection, wanted)
		return err
	}
	if err != nil || rest.Same(found["data"], wanted["data"]) {
		return err
	}
	_, err = m.API.Merge(ctx, collection+"/"+rest.Name(wanted), rest.Object{"data": wanted["data"]})
	return err
}

func (m *Manager) route(ctx context.Context) error {
	routes := "/apis/route.openshift.io/v1/namespaces/openshift-console/routes"
	if _, err := m.API.Get(ctx, routes+"/console"); !rest.Refused(err, 404) {
		return err
	}
	domain := "apps." + m.Credentials.Domain
	host := "console-openshift-console." + domain
	_, err := m.API.Create(ctx, routes, rest.Object{
		"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": rest.Object{"name": "console"},
		"spec": rest.Object{
			"host": host, "to": rest.Object{"kind": "Service", "name": "console"},
			"tls": rest.Object{"termination": "reencrypt", "insecureEdgeTerminationPolicy": "Redirect"},
		},
		"status": rest.Object{"ingress": []any{rest.Object{
			"host": host, "routerName": "default", "routerCanonicalHostname": "router-default." + domain,
			"conditions": []any{rest.Object{"type": "Admitted", "status": "True", "lastTransitionTime": rest.Now()}},
		}}},
	})
	return err
}
