package api

import (
	"net/http"
	"runtime"
	"slices"
	"strings"
)

// inAll is what `oc get all` means.
var inAll = []string{"pods", "services", "daemonsets.apps", "deployments.apps", "replicasets.apps", "statefulsets.apps",
	"jobs.batch", "cronjobs.batch", "routes.route.openshift.io"}

// health answers the paths that need no credentials, and tells whether it did.
func (s *Server) health(w http.ResponseWriter, r *http.Request) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch first {
	case "livez":
		plain(w, http.StatusOK, "ok")
	case "readyz", "healthz":
		switch {
		case s.leaving.Load():
			plain(w, http.StatusInternalServerError, "[-]shutdown failed: the server is stopping")
		case !s.store.Ready():
			plain(w, http.StatusInternalServerError, "[-]store failed: this member has no leader or is not current yet")
		default:
			plain(w, http.StatusOK, "ok")
		}
	case "version":
		parts := append(strings.Split(strings.TrimPrefix(s.options.Version, "v"), "."), "", "")
		send(w, http.StatusOK, map[string]any{
			"major": parts[0], "minor": parts[1], "gitVersion": s.options.Version, "gitCommit": "", "gitTreeState": "clean",
			"buildDate": "1970-01-01T00:00:00Z", "goVersion": runtime.Version(), "compiler": runtime.Compiler,
			"platform": runtime.GOOS + "/" + runtime.GOARCH,
		})
	default:
		return false
	}
	return true
}

func plain(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body))
}

// discover answers what clients ask to learn which resources there are, and tells whether it did.
func (s *Server) discover(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	words := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/":
		send(w, http.StatusOK, map[string]any{"paths": []string{"/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"}})
	case words[0] == "openapi":
		s.describe(w, words[1:])
	case len(words) == 1 && words[0] == "api":
		send(w, http.StatusOK, map[string]any{"kind": "APIVersions", "versions": []string{"v1"},
			"serverAddressByClientCIDRs": []any{}})
	case len(words) == 1 && words[0] == "apis":
		send(w, http.StatusOK, map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": s.groups("")})
	case len(words) == 2 && words[0] == "apis":
		if groups := s.groups(words[1]); len(groups) == 1 {
			send(w, http.StatusOK, groups[0])
		} else {
			s.fail(w, unknownPath())
		}
	case len(words) == 2 && words[0] == "api":
		s.resourceList(w, "", words[1])
	case len(words) == 3 && words[0] == "apis":
		s.resourceList(w, words[1], words[2])
	default:
		return false
	}
	return true
}

// groups returns the groups, or the one that is named, with their versions.
func (s *Server) groups(only string) []map[string]any {
	var names []string
	versions := map[string][]string{}
	for _, of := range s.types() {
		if of.Group == "" || only != "" && of.Group != only {
			continue
		}
		if !slices.Contains(names, of.Group) {
			names = append(names, of.Group)
		}
		if !slices.Contains(versions[of.Group], of.Version) {
			versions[of.Group] = append(versions[of.Group], of.Version)
		}
	}
	found := []map[string]any{}
	for _, name := range names {
		var served []map[string]any
		for _, version := range versions[name] {
			served = append(served, map[string]any{"groupVersion": name + "/" + version, "version": version})
		}
		found = append(found, map[string]any{"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": served,
			"preferredVersion": served[0]})
	}
	return found
}

func (s *Server) resourceList(w http.ResponseWriter, group, version string) {
	found := []map[string]any{}
	var groupVersion string
	for _, of := range s.types() {
		if of.Group != group || of.Version != version {
			continue
		}
		groupVersion = of.groupVersion()
		verbs := []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
		if strings.HasPrefix(of.Plural, "self") {
			verbs = []string{"create"}
		}
		listed := map[string]any{"name": of.Plural, "singularName": of.Singular, "namespaced": of.Namespaced,
			"kind": of.Kind, "verbs": verbs}
		if len(of.Short) > 0 {
			listed["shortNames"] = of.Short
		}
		if slices.Contains(inAll, of.qualified()) {
			listed["categories"] = []string{"all"}
		}
		found = append(found, listed)
		for _, name := range of.Subresources {
			found = append(found, subresource(of, name))
		}
	}
	if groupVersion == "" {
		s.fail(w, unknownPath())
		return
	}
	send(w, http.StatusOK, map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": groupVersion,
		"resources": found})
}

func subresource(of Resource, name string) map[string]any {
	listed := map[string]any{"name": of.Plural + "/" + name, "singularName": "", "namespaced": of.Namespaced,
		"kind": of.Kind, "verbs": []string{"get", "patch", "update"}}
	if name == "eviction" {
		listed["group"], listed["version"], listed["kind"] = "policy", "v1", "Eviction"
		listed["verbs"] = []string{"create"}
	}
	return listed
}
