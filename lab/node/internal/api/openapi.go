package api

import (
	"net/http"
	"strings"
)

// describe answers /openapi/v3. The documents say one thing: that the server itself judges an object's fields, so that
// clients do not ask for schemas. There is no /openapi/v2: clients fall back to what they know of the built-in types.
func (s *Server) describe(w http.ResponseWriter, words []string) {
	if len(words) == 0 || words[0] != "v3" {
		s.fail(w, unknownPath())
		return
	}
	wanted := strings.Join(words[1:], "/")
	paths := map[string]any{}
	operations := map[string]any{}
	for _, of := range s.types() {
		home := strings.TrimSuffix(strings.TrimPrefix(of.Path(""), "/"), "/"+of.Plural)
		paths[home] = map[string]any{"serverRelativeURL": "/openapi/v3/" + home}
		if home == wanted {
			operations[of.Path("{namespace}")+"/{name}"] = map[string]any{"patch": patchOperation(of)}
		}
	}
	switch {
	case wanted == "":
		send(w, http.StatusOK, map[string]any{"paths": paths})
	case len(operations) > 0:
		send(w, http.StatusOK, map[string]any{
			"openapi": "3.0.0", "info": map[string]any{"title": "miniature", "version": s.options.Version},
			"paths": operations, "components": map[string]any{},
		})
	default:
		s.fail(w, unknownPath())
	}
}

func patchOperation(of Resource) map[string]any {
	var parameters []map[string]any
	for _, name := range []string{"dryRun", "fieldValidation"} {
		parameters = append(parameters, map[string]any{"name": name, "in": "query", "schema": map[string]any{"type": "string"}})
	}
	return map[string]any{
		"parameters": parameters,
		"responses":  map[string]any{"200": map[string]any{"description": "OK"}},
		"x-kubernetes-group-version-kind": map[string]any{
			"group": of.Group, "version": of.Version, "kind": of.Kind,
		},
	}
}
