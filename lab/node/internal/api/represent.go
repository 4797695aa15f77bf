package api

import (
	"net/http"
	"strconv"
	"strings"

	"okd-libvirt/lab/node/internal/store"
)

// shape is how a client wants objects: whole, as rows of a table, or their metadata only.
type shape struct {
	as string
	// include is what rows carry of their object: Metadata, Object or None.
	include string
	// headed tells that a watch's columns were sent.
	headed bool
}

func shapeOf(r *http.Request) *shape {
	result := &shape{include: r.URL.Query().Get("includeObject")}
	for accepted := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, parameters, _ := strings.Cut(strings.TrimSpace(accepted), ";")
		if kind != "application/json" {
			continue
		}
		var as, version string
		for parameter := range strings.SplitSeq(parameters, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
			switch name {
			case "as":
				as = value
			case "v":
				version = value
			}
		}
		switch as {
		case "":
			return result
		case "Table", "PartialObjectMetadata", "PartialObjectMetadataList":
			if version == "v1" {
				result.as = strings.TrimSuffix(as, "List")
				return result
			}
		}
	}
	return result
}

func (s *shape) one(of Resource, object store.Object) any {
	switch s.as {
	case "Table":
		return s.table(of, []store.Object{object}, text(object, "metadata", "resourceVersion"))
	case "PartialObjectMetadata":
		return partial(object)
	}
	return versioned(of, object)
}

func (s *shape) many(of Resource, objects []store.Object, revision uint64) any {
	version := strconv.FormatUint(revision, 10)
	if s.as == "Table" {
		return s.table(of, objects, version)
	}
	listed := make([]any, len(objects))
	for index, object := range objects {
		if listed[index] = versioned(of, object); s.as == "PartialObjectMetadata" {
			listed[index] = partial(object)
		}
	}
	list := map[string]any{"kind": of.Kind + "List", "apiVersion": of.groupVersion(), "items": listed,
		"metadata": map[string]any{"resourceVersion": version}}
	if s.as == "PartialObjectMetadata" {
		list["kind"], list["apiVersion"] = "PartialObjectMetadataList", "meta.k8s.io/v1"
	}
	return list
}

func partial(object store.Object) any {
	return map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]}
}

// versioned returns the object in the version that was asked for.
func versioned(of Resource, object store.Object) store.Object {
	if text(object, "apiVersion") == of.groupVersion() {
		return object
	}
	result := store.Object{}
	for name, value := range object {
		result[name] = value
	}
	result["apiVersion"] = of.groupVersion()
	return result
}
