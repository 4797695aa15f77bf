package api

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"

	"okd-libvirt/lab/node/internal/store"
)

// prepare completes an object before it is stored, as its resource has it, or refuses it. current is nil for a new one.
func (s *Server) prepare(who user, asked request, current, candidate store.Object) *Status {
	if status := restrictNode(who, asked, current, candidate); status != nil {
		return status
	}
	switch {
	case asked.is("certificatesigningrequests"):
		return prepareSigningRequest(who, asked, current, candidate)
	case asked.is("secrets"):
		encodeSecret(candidate)
	case asked.is("namespaces") && current == nil:
		candidate["status"] = map[string]any{"phase": "Active"}
	}
	return nil
}

// encodeSecret moves stringData into data.
func encodeSecret(candidate store.Object) {
	given, _ := candidate["stringData"].(map[string]any)
	delete(candidate, "stringData")
	data, _ := candidate["data"].(map[string]any)
	if data == nil {
		data = map[string]any{}
	}
	for name, value := range given {
		if plain, ok := value.(string); ok {
			data[name] = base64.StdEncoding.EncodeToString([]byte(plain))
		}
	}
	if len(data) > 0 {
		candidate["data"] = data
	}
	if text(candidate, "type") == "" {
		candidate["type"] = "Opaque"
	}
}

// prepareSigningRequest writes down who asks, so that no requester can say it is another; that never changes.
func prepareSigningRequest(who user, asked request, current, candidate store.Object) *Status {
	name := text(candidate, "metadata", "name")
	if current != nil {
		candidate["spec"] = store.Clone(current)["spec"]
		stampConditions(candidate)
		return nil
	}
	spec, _ := candidate["spec"].(map[string]any)
	encoded, err := base64.StdEncoding.DecodeString(text(spec, "request"))
	block, _ := pem.Decode(encoded)
	if err != nil || block == nil || block.Type != "CERTIFICATE REQUEST" {
		return invalid(asked.resource, name, "spec.request: Invalid value: PEM block type must be CERTIFICATE REQUEST")
	}
	asking, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return invalid(asked.resource, name, "spec.request: Invalid value: %v", err)
	}
	if err := asking.CheckSignature(); err != nil {
		return invalid(asked.resource, name, "spec.request: Invalid value: %v", err)
	}
	if text(spec, "signerName") == "" {
		return invalid(asked.resource, name, "spec.signerName: Required value")
	}
	if len(items(spec, "usages")) == 0 {
		return invalid(asked.resource, name, "spec.usages: Required value: usages must be provided")
	}
	groups := make([]any, len(who.groups))
	for index, group := range who.groups {
		groups[index] = group
	}
	delete(spec, "extra")
	delete(spec, "uid")
	spec["username"], spec["groups"] = who.name, groups
	candidate["status"] = map[string]any{}
	return nil
}

func stampConditions(candidate store.Object) {
	for _, each := range items(candidate, "status", "conditions") {
		if found, ok := each.(map[string]any); ok {
			for _, name := range []string{"lastUpdateTime", "lastTransitionTime"} {
				if text(found, name) == "" {
					found[name] = now()
				}
			}
		}
	}
}

// restricted returns what of a candidate counts: status changes through the subresource only, and nothing else there.
func restricted(asked request, current, candidate store.Object) store.Object {
	previous := store.Clone(current)
	switch asked.subresource {
	case "status":
		if asked.resource.Custom {
			previous["status"] = candidate["status"]
			return previous
		}
		if asked.is("certificatesigningrequests") {
			keepDecision(previous, candidate)
		}
		candidate["spec"] = previous["spec"]
		dropAbsent(candidate, "spec")
		return candidate
	case "approval":
		status, _ := previous["status"].(map[string]any)
		if status == nil {
			status = map[string]any{}
			previous["status"] = status
		}
		status["conditions"] = at(candidate, "status", "conditions")
		dropAbsent(status, "conditions")
		return previous
	}
	if asked.resource.has("status") {
		candidate["status"] = previous["status"]
		dropAbsent(candidate, "status")
	}
	return candidate
}

func dropAbsent(object map[string]any, name string) {
	if object[name] == nil {
		delete(object, name)
	}
}

// keepDecision keeps what was decided about a request: signers report, they do not approve.
func keepDecision(previous, candidate store.Object) {
	kept := []any{}
	for _, each := range items(previous, "status", "conditions") {
		if kind := text(each, "type"); kind == "Approved" || kind == "Denied" {
			kept = append(kept, each)
		}
	}
	for _, each := range items(candidate, "status", "conditions") {
		if kind := text(each, "type"); kind != "Approved" && kind != "Denied" {
			kept = append(kept, each)
		}
	}
	status, _ := candidate["status"].(map[string]any)
	if status == nil {
		status = map[string]any{}
		candidate["status"] = status
	}
	status["conditions"] = kept
}
