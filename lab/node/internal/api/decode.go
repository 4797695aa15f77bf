package api

import (
	"crypto/rand"
	"encoding/json"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"time"

	"okd-libvirt/lab/node/internal/store"
)

// The largest body, as the real server has it.
const largest = 3 << 20

// pathSafe is what a name may be: the API's paths are made of names.
var pathSafe = regexp.MustCompile(`^[^/%]{1,253}$`)

// decode reads a request's object, which must be of the resource that the path names.
func decode(r *http.Request, of Resource) (store.Object, *Status) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "" && kind != "application/json" {
		return nil, unsupported("application/json")
	}
	data, status := body(r)
	if status != nil {
		return nil, status
	}
	object, status := parsed(data)
	if status != nil {
		return nil, status
	}
	if len(object) == 0 {
		return nil, badRequest("the request holds no object")
	}
	// What is posted to a subresource has a type of its own.
	if of.Plural == "pods" && text(object, "kind") == "Eviction" {
		return object, nil
	}
	if found := text(object, "apiVersion"); found != "" && found != of.groupVersion() {
		return nil, badRequest("the API version in the data (%s) does not match the expected API version (%s)", found, of.groupVersion())
	}
	if found := text(object, "kind"); found == "" && of.Kind == "" {
		return nil, badRequest("Object 'Kind' is missing")
	} else if found != "" && of.Kind != "" && found != of.Kind {
		return nil, badRequest("%s in version %q cannot be handled as a %s", found, of.Version, of.Kind)
	}
	object["apiVersion"] = of.groupVersion()
	if of.Kind != "" {
		object["kind"] = of.Kind
	}
	return object, nil
}

func unsupported(accepted string) *Status {
	return failure(http.StatusUnsupportedMediaType, "UnsupportedMediaType",
		"the body of the request was in an unknown format - accepted media types include: %s", accepted)
}

func parsed(data []byte) (store.Object, *Status) {
	var object store.Object
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, badRequest("the object provided is unrecognized: %v", err)
	}
	if metadata, ok := object["metadata"]; ok && metadata != nil {
		if _, isObject := metadata.(map[string]any); !isObject {
			return nil, badRequest("the object provided is unrecognized: metadata is no object")
		}
	}
	return object, nil
}

// place makes an object's name and namespace those of the path, or says that they are others.
func place(asked request, metadata map[string]any) *Status {
	of := asked.resource
	if found := text(metadata, "namespace"); of.Namespaced && found != "" && found != asked.namespace {
		return badRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	if delete(metadata, "namespace"); of.Namespaced {
		metadata["namespace"] = asked.namespace
	}
	name := text(metadata, "name")
	switch {
	case asked.name == "" && name == "" && text(metadata, "generateName") == "":
		return invalid(of, "", "metadata.name: Required value: name or generateName is required")
	case asked.name != "" && name == "":
		metadata["name"] = asked.name
	case asked.name != "" && name != asked.name:
		return badRequest("the name of the object (%s) does not match the name on the URL (%s)", name, asked.name)
	case name != "" && (!pathSafe.MatchString(name) || name == "." || name == ".."):
		return invalid(of, name, "metadata.name: Invalid value: %q", name)
	}
	return nil
}

func dry(r *http.Request) bool {
	return slices.Contains(r.URL.Query()["dryRun"], "All")
}

// randomSuffix has no vowels and nothing that looks like another letter, as generated names have.
func randomSuffix() string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	var bytes [5]byte
	rand.Read(bytes[:])
	for index := range bytes {
		bytes[index] = letters[int(bytes[index])%len(letters)]
	}
	return string(bytes[:])
}

func now() string {
	return time.Now().UTC().Format(time.RFC3339)
}
