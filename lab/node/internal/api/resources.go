package api

import (
	"slices"
	"strings"

	"okd-libvirt/lab/node/internal/store"
)

// Resource is one type of object as discovery tells it.
type Resource struct {
	Group, Version, Plural, Singular, Kind string
	Namespaced                             bool
	Short                                  []string
	Subresources                           []string
	// Custom resources take no strategic merge patch, as those that a CustomResourceDefinition brings.
	Custom bool
}

// Path returns where the API serves the resource, in a namespace if it has any.
func (r Resource) Path(namespace string) string {
	path := "/apis/" + r.Group + "/" + r.Version
	if r.Group == "" {
		path = "/api/" + r.Version
	}
	if r.Namespaced && namespace != "" {
		path += "/namespaces/" + namespace
	}
	return path + "/" + r.Plural
}

func (r Resource) groupVersion() string {
	if r.Group == "" {
		return r.Version
	}
	return r.Group + "/" + r.Version
}

func (r Resource) qualified() string {
	return strings.TrimSuffix(r.Plural+"."+r.Group, ".")
}

func (r Resource) qualifiedKind() string {
	return strings.TrimSuffix(r.Kind+"."+r.Group, ".")
}

func (r Resource) key(namespace, name string) store.Key {
	if !r.Namespaced {
		namespace = ""
	}
	return store.Key{Group: r.Group, Resource: r.Plural, Namespace: namespace, Name: name}
}

func (r Resource) has(subresource string) bool {
	return slices.Contains(r.Subresources, subresource)
}

// ResourceFor returns the resource of a kind: a known one, or for an unknown kind what it would most likely be called.
func ResourceFor(apiVersion, kind string) Resource {
	group, version, found := strings.Cut(apiVersion, "/")
	if !found {
		group, version = "", apiVersion
	}
	for _, known := range builtIn {
		if known.Group == group && known.Kind == kind {
			known.Version = version
			return known
		}
	}
	return Resource{Group: group, Version: version, Plural: pluralOf(kind), Singular: strings.ToLower(kind), Kind: kind,
		Namespaced: !strings.HasSuffix(group, "config.openshift.io"), Subresources: []string{"status"}, Custom: true}
}

func pluralOf(kind string) string {
	name := strings.ToLower(kind)
	switch {
	case strings.HasSuffix(name, "s"), strings.HasSuffix(name, "x"), strings.HasSuffix(name, "ch"), strings.HasSuffix(name, "sh"):
		return name + "es"
	case strings.HasSuffix(name, "y") && !strings.HasSuffix(name, "ay") && !strings.HasSuffix(name, "ey"):
		return strings.TrimSuffix(name, "y") + "ies"
	}
	return name + "s"
}

// brought is where the API remembers types that an object brought along: they are objects like any other.
const brought = "miniature.okd-libvirt"

var broughtTypes = Resource{Group: brought, Version: "v1", Plural: "types", Kind: "Type"}

// find returns the type that a path names.
func (s *Server) find(group, version, plural string) (Resource, bool) {
	for _, types := range []func() []Resource{func() []Resource { return builtIn }, s.types} {
		for _, known := range types() {
			if known.Group == group && known.Plural == plural && known.Version == version {
				return known, true
			}
		}
	}
	return Resource{}, false
}

// types returns all types: the built-in ones, those of definitions, those that objects brought along.
func (s *Server) types() []Resource {
	found := slices.Clone(builtIn)
	definitions, _ := s.store.List("apiextensions.k8s.io", "customresourcedefinitions", "")
	for _, definition := range definitions {
		for _, version := range items(definition, "spec", "versions") {
			if served, _ := at(version, "served").(bool); served {
				found = appendNew(found, defined(definition, text(version, "name")))
			}
		}
	}
	objects, _ := s.store.List(brought, broughtTypes.Plural, "")
	for _, object := range objects {
		namespaced, _ := object["namespaced"].(bool)
		found = appendNew(found, Resource{
			Group: text(object, "group"), Version: text(object, "version"), Plural: text(object, "plural"),
			Singular: strings.ToLower(text(object, "ofKind")), Kind: text(object, "ofKind"), Namespaced: namespaced,
			Subresources: []string{"status"}, Custom: true,
		})
	}
	return found
}

func appendNew(found []Resource, another Resource) []Resource {
	for _, known := range found {
		if known.Group == another.Group && known.Version == another.Version && known.Plural == another.Plural {
			return found
		}
	}
	return append(found, another)
}

func defined(definition store.Object, version string) Resource {
	names := at(definition, "spec", "names")
	result := Resource{
		Group: text(definition, "spec", "group"), Version: version, Plural: text(names, "plural"),
		Singular: text(names, "singular"), Kind: text(names, "kind"),
		Namespaced: text(definition, "spec", "scope") == "Namespaced", Subresources: []string{"status"}, Custom: true,
	}
	if result.Singular == "" {
		result.Singular = strings.ToLower(result.Kind)
	}
	for _, short := range items(names, "shortNames") {
		if name, ok := short.(string); ok {
			result.Short = append(result.Short, name)
		}
	}
	return result
}

// typeObject is what a type that an object brings is remembered as.
func typeObject(of Resource) (store.Key, store.Object) {
	name := of.Plural + "." + of.Version + "." + of.Group
	return broughtTypes.key("", name), store.Object{
		"apiVersion": broughtTypes.groupVersion(), "kind": broughtTypes.Kind, "metadata": map[string]any{"name": name},
		"group": of.Group, "version": of.Version, "plural": of.Plural, "ofKind": of.Kind, "namespaced": of.Namespaced,
	}
}
