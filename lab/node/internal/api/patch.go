package api

import (
	"encoding/json"
	"mime"
	"net/http"

	"okd-libvirt/lab/node/internal/store"
)

// The kinds of patches that there are.
const (
	jsonPatch      = "application/json-patch+json"
	mergePatch     = "application/merge-patch+json"
	strategicPatch = "application/strategic-merge-patch+json"
)

func (s *Server) patch(w http.ResponseWriter, r *http.Request, who user, asked request) *Status {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	data, status := body(r)
	if status != nil {
		return status
	}
	edit, status := editOf(kind, data, asked.resource)
	if status != nil {
		return status
	}
	return s.change(w, r, who, asked, func(current store.Object) (store.Object, *Status) {
		candidate, status := edit(current)
		if status != nil {
			return nil, status
		}
		if candidate["apiVersion"] != current["apiVersion"] || candidate["kind"] != current["kind"] {
			return nil, badRequest("a patch may not change apiVersion or kind")
		}
		if _, ok := candidate["metadata"].(map[string]any); !ok {
			return nil, badRequest("a patch may not remove metadata")
		}
		return candidate, nil
	})
}

func editOf(kind string, data []byte, of Resource) (func(store.Object) (store.Object, *Status), *Status) {
	if kind == jsonPatch {
		var operations []operation
		if err := json.Unmarshal(data, &operations); err != nil {
			return nil, badRequest("error decoding patch: %v", err)
		}
		return func(current store.Object) (store.Object, *Status) {
			changed, err := applyOperations(current, operations)
			if err != nil {
				return nil, failure(http.StatusUnprocessableEntity, "Invalid", "the server rejected our request due to an error in our request: %v", err)
			}
			return changed, nil
		}, nil
	}
	merge := map[string]func(any, any) any{mergePatch: merged}
	accepted := jsonPatch + ", " + mergePatch
	if !of.Custom {
		merge[strategicPatch] = func(current, patch any) any { return strategic("", current, patch) }
		accepted += ", " + strategicPatch
	}
	apply := merge[kind]
	if apply == nil {
		return nil, unsupported(accepted)
	}
	patch, status := parsed(data)
	if status != nil {
		return nil, status
	}
	return func(current store.Object) (store.Object, *Status) {
		changed, _ := apply(current, store.Clone(patch)).(map[string]any)
		return changed, nil
	}, nil
}

// merged is a merge patch (RFC 7386).
func merged(current, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	result, ok := current.(map[string]any)
	if !ok {
		result = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(result, name)
		} else {
			result[name] = merged(result[name], value)
		}
	}
	return result
}
