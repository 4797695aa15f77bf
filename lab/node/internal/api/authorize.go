package api

import (
	"net/http"
	"slices"
	"strings"

	"okd-libvirt/lab/node/internal/store"
)

// ControlPlaneNamespace holds what control-plane machines, and no others, may read.
const ControlPlaneNamespace = "openshift-miniature"

// routerCertificate is mounted by the routers' pods, which run on every node that takes pods.
const routerCertificate = "openshift-ingress/router-certs-default"

var (
	reading   = []string{"get", "list", "watch"}
	roleMarks = []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}
)

// authorize returns nil when the user may, and the refusal otherwise.
func (s *Server) authorize(who user, asked request) *Status {
	if who.in(Masters) || s.bootstrapperMay(who, asked) || s.nodeMay(who, asked) || everyoneMay(asked) {
		return nil
	}
	scope := "at the cluster scope"
	if asked.namespace != "" {
		scope = "in the namespace \"" + asked.namespace + "\""
	}
	of := asked.resource
	name := of.Plural
	if asked.subresource != "" {
		name += "/" + asked.subresource
	}
	status := failure(http.StatusForbidden, "Forbidden", "%s %q is forbidden: User %q cannot %s resource %q in API group %q %s",
		of.qualified(), asked.name, who.name, asked.verb, name, of.Group, scope)
	return status.about(of, asked.name)
}

func (r request) qualifiedName() string { return r.namespace + "/" + r.name }

func everyoneMay(asked request) bool {
	return asked.verb == "create" && strings.HasPrefix(asked.resource.Plural, "self") ||
		asked.resource.Group == "user.openshift.io" && asked.name == "~"
}

func (s *Server) bootstrapperMay(who user, asked request) bool {
	return who.name == Bootstrapper && asked.is("certificatesigningrequests") && asked.subresource == "" &&
		slices.Contains([]string{"create", "get", "list", "watch"}, asked.verb)
}

func (s *Server) nodeMay(who user, asked request) bool {
	own, isNode := strings.CutPrefix(who.name, NodePrefix)
	if !isNode || !who.in(Nodes) {
		return false
	}
	if asked.is("secrets") {
		return asked.verb == "get" && asked.name != "" &&
			(asked.namespace == ControlPlaneNamespace && s.isControlPlane(own) || asked.qualifiedName() == routerCertificate)
	}
	if slices.Contains(reading, asked.verb) {
		return true
	}
	if asked.verb == "delete" || asked.verb == "deletecollection" {
		return false
	}
	switch {
	case asked.is("nodes"):
		return (asked.name == own || asked.name == "" && asked.verb == "create") &&
			(asked.subresource == "" || asked.subresource == "status")
	case asked.is("leases"):
		return asked.namespace == "kube-node-lease" && (asked.name == own || asked.verb == "create")
	case asked.is("events"):
		return true
	case asked.is("certificatesigningrequests"):
		return asked.verb == "create" && asked.subresource == ""
	}
	return false
}

func (s *Server) isControlPlane(node string) bool {
	object, err := s.store.Get(store.Key{Resource: "nodes", Name: node})
	if err != nil {
		return false
	}
	for _, mark := range roleMarks {
		if _, ok := labels(object)[mark]; ok {
			return true
		}
	}
	return false
}

// restrictNode holds a node to what its own object may say: its name at creation, its roles ever after.
func restrictNode(who user, asked request, previous, candidate store.Object) *Status {
	own, isNode := strings.CutPrefix(who.name, NodePrefix)
	if !isNode || who.in(Masters) || !asked.is("nodes") {
		return nil
	}
	if text(candidate, "metadata", "name") != own {
		return failure(http.StatusForbidden, "Forbidden", "node %q is not allowed to write node %q", own,
			text(candidate, "metadata", "name"))
	}
	if previous == nil {
		return nil
	}
	for _, mark := range roleMarks {
		_, before := labels(previous)[mark]
		if _, after := labels(candidate)[mark]; after != before {
			return failure(http.StatusForbidden, "Forbidden", "node %q is not allowed to modify label %s", own, mark)
		}
	}
	return nil
}
