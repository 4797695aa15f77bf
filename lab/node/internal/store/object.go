package store

import (
	"errors"
	"strconv"
)

// Object is one Kubernetes object as decoded JSON. Objects that the store hands out are shared: Clone before changing.
type Object = map[string]any

// Key names an object. Versions are no part of it: an object is the same in every version of its group.
type Key struct {
	Group     string `json:"group,omitempty"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// What writes and watches fail with.
var (
	ErrNotFound    = errors.New("not found")
	ErrExists      = errors.New("already exists")
	ErrConflict    = errors.New("the object has been modified")
	ErrExpired     = errors.New("too old resource version")
	ErrUnavailable = errors.New("no leader of the store took the request in time")
	ErrClosed      = errors.New("the store is closed")
)

// codes are how the errors of a write travel between members.
var codes = map[string]error{"not-found": ErrNotFound, "exists": ErrExists, "conflict": ErrConflict}

// Clone returns a deep copy.
func Clone(object Object) Object {
	if object == nil {
		return nil
	}
	return cloned(object).(Object)
}

func cloned(value any) any {
	switch value := value.(type) {
	case map[string]any:
		result := make(map[string]any, len(value))
		for name, item := range value {
			result[name] = cloned(item)
		}
		return result
	case []any:
		result := make([]any, len(value))
		for index, item := range value {
			result[index] = cloned(item)
		}
		return result
	}
	return value
}

// Metadata returns the object's metadata, made if it has none.
func Metadata(object Object) map[string]any {
	if metadata, ok := object["metadata"].(map[string]any); ok {
		return metadata
	}
	metadata := map[string]any{}
	object["metadata"] = metadata
	return metadata
}

// Revision returns the object's resourceVersion as a number, 0 if it has none.
func Revision(object Object) uint64 {
	metadata, _ := object["metadata"].(map[string]any)
	text, _ := metadata["resourceVersion"].(string)
	number, _ := strconv.ParseUint(text, 10, 64)
	return number
}
