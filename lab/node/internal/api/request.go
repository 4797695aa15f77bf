package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// request is what a path, a method and a query ask for.
type request struct {
	verb        string
	resource    Resource
	namespace   string
	name        string
	subresource string
	query       url.Values
	// unknown tells that no type has this path; creating an object there brings one.
	unknown bool
}

// homes are the groups of the resources that rules name; those of others are the core group's.
var homes = map[string]string{"leases": "coordination.k8s.io", "certificatesigningrequests": "certificates.k8s.io"}

// is tells whether the request is for the resource of this name that rules mean.
func (r request) is(plural string) bool {
	return r.resource.Plural == plural && r.resource.Group == homes[plural]
}

// parse returns nil for a path that is no resource's.
func (s *Server) parse(r *http.Request) *request {
	words := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var group, version string
	switch {
	case len(words) >= 3 && words[0] == "api":
		version, words = words[1], words[2:]
	case len(words) >= 4 && words[0] == "apis":
		group, version, words = words[1], words[2], words[3:]
	default:
		return nil
	}
	asked := &request{query: r.URL.Query()}
	inNamespace := len(words) >= 3 && words[0] == "namespaces" && words[2] != "status" && words[2] != "finalize"
	if inNamespace {
		asked.namespace, words = words[1], words[2:]
	}
	if len(words) > 1 {
		asked.name = words[1]
	}
	if len(words) > 2 {
		asked.subresource = strings.Join(words[2:], "/")
	}
	of, known := s.find(group, version, words[0])
	if !known {
		of = Resource{Group: group, Version: version, Plural: words[0], Namespaced: inNamespace, Custom: true,
			Subresources: []string{"status"}}
	}
	// A namespaced resource has a namespace wherever one object is meant.
	if inNamespace != of.Namespaced && (inNamespace || asked.name != "") {
		return nil
	}
	asked.unknown, asked.resource = !known, of
	asked.verb = verbOf(r.Method, asked)
	return asked
}

func verbOf(method string, asked *request) string {
	switch method {
	case http.MethodGet, http.MethodHead:
		if slices.Contains([]string{"true", "1"}, asked.query.Get("watch")) {
			return "watch"
		}
		if asked.name == "" {
			return "list"
		}
		return "get"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if asked.name == "" {
			return "deletecollection"
		}
		return "delete"
	}
	return ""
}

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if s.health(w, r) {
		return
	}
	who := s.authenticate(r)
	if who == nil {
		s.fail(w, failure(http.StatusUnauthorized, "Unauthorized", "Unauthorized"))
		return
	}
	if !s.store.Current() {
		s.fail(w, unavailable("this member of the store is not current yet"))
		return
	}
	if s.discover(w, r) {
		return
	}
	asked := s.parse(r)
	if asked == nil || asked.verb == "" || asked.unknown && asked.verb != "create" ||
		asked.subresource != "" && !asked.resource.has(asked.subresource) {
		s.fail(w, unknownPath())
		return
	}
	if refused := s.authorize(*who, *asked); refused != nil {
		s.fail(w, refused)
		return
	}
	if refused := s.serve(w, r, *who, *asked); refused != nil {
		s.fail(w, refused)
	}
}

// serve answers what is allowed; a Status that it returns is still to be sent.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, who user, asked request) *Status {
	switch asked.verb {
	case "get":
		return s.get(w, r, who, asked)
	case "list":
		return s.list(w, r, asked)
	case "watch":
		return s.watch(w, r, asked)
	case "create":
		return s.create(w, r, who, asked)
	case "update":
		return s.replace(w, r, who, asked)
	case "patch":
		return s.patch(w, r, who, asked)
	case "delete":
		return s.delete(w, r, asked)
	}
	return s.deleteAll(w, r, asked)
}
