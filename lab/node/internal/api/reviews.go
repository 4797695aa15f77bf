package api

import (
	"net/http"

	"okd-libvirt/lab/node/internal/store"
)

// review answers "who am I" and "may I", which are asked by creating an object that nobody keeps.
func (s *Server) review(w http.ResponseWriter, who user, asked request, object store.Object) *Status {
	if asked.resource.Plural == "selfsubjectreviews" {
		object["status"] = map[string]any{"userInfo": map[string]any{"username": who.name, "groups": who.groups}}
		send(w, http.StatusCreated, object)
		return nil
	}
	wanted := at(object, "spec", "resourceAttributes")
	of, known := s.find(text(wanted, "group"), versionOr(text(wanted, "version")), text(wanted, "resource"))
	if !known {
		of = Resource{Group: text(wanted, "group"), Plural: text(wanted, "resource")}
	}
	question := request{verb: text(wanted, "verb"), resource: of, namespace: text(wanted, "namespace"),
		name: text(wanted, "name"), subresource: text(wanted, "subresource")}
	object["status"] = map[string]any{"allowed": s.authorize(who, question) == nil}
	send(w, http.StatusCreated, object)
	return nil
}

func versionOr(version string) string {
	if version == "" || version == "*" {
		return "v1"
	}
	return version
}

func userObject(who user) store.Object {
	groups := make([]any, len(who.groups))
	for index, group := range who.groups {
		groups[index] = group
	}
	return store.Object{"kind": "User", "apiVersion": "user.openshift.io/v1",
		"metadata": map[string]any{"name": who.name}, "groups": groups}
}
