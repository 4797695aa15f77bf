package rest

import "strings"

// Collections that several packages ask for.
const (
	Nodes      = "/api/v1/nodes"
	Requests   = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	Leases     = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
	Namespaces = "/api/v1/namespaces"
	Operators  = "/apis/config.openshift.io/v1/clusteroperators"
	Versions   = "/apis/config.openshift.io/v1/clusterversions"
	Configs    = "/apis/machineconfiguration.openshift.io/v1/machineconfigs"
	Pools      = "/apis/machineconfiguration.openshift.io/v1/machineconfigpools"
	Etcd       = "/apis/operator.openshift.io/v1/etcds"
	Scheduler  = "/apis/config.openshift.io/v1/schedulers/cluster"
)

// irregular holds the plurals that no rule finds.
var irregular = map[string]string{"endpoints": "endpoints", "securitycontextconstraints": "securitycontextconstraints"}

// Collection returns the path of a kind's collection, in a namespace unless that is empty.
func Collection(version, kind, namespace string) string {
	path := "/apis/" + version
	if !strings.Contains(version, "/") {
		path = "/api/" + version
	}
	if namespace != "" {
		path += "/namespaces/" + namespace
	}
	return path + "/" + plural(strings.ToLower(kind))
}

func plural(kind string) string {
	if found := irregular[kind]; found != "" {
		return found
	}
	ends := func(suffix string) bool { return strings.HasSuffix(kind, suffix) }
	switch {
	case ends("s") || ends("x") || ends("ch") || ends("sh"):
		return kind + "es"
	case ends("y") && !ends("ay") && !ends("ey") && !ends("oy"):
		return strings.TrimSuffix(kind, "y") + "ies"
	}
	return kind + "s"
}
