package tlsplugin

import (
	"context"
	"encoding/json"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// adapted makes up for what the framework does not do: it gives the functions' results their property id, which a
// struct may not have, and overlooks the bookkeeping that the official plugin keeps in the state.
func adapted(provider p.Provider) p.Provider {
	invoke, schema := provider.Invoke, provider.GetSchema
	diff, update, read, remove := provider.Diff, provider.Update, provider.Read, provider.Delete
	provider.Diff = func(ctx context.Context, req p.DiffRequest) (p.DiffResponse, error) {
		req.State, req.OldInputs = plain(req.State), plain(req.OldInputs)
		return diff(ctx, req)
	}
	provider.Update = func(ctx context.Context, req p.UpdateRequest) (p.UpdateResponse, error) {
		req.State, req.OldInputs = plain(req.State), plain(req.OldInputs)
		return update(ctx, req)
	}
	provider.Read = func(ctx context.Context, req p.ReadRequest) (p.ReadResponse, error) {
		req.Properties, req.Inputs = plain(req.Properties), plain(req.Inputs)
		return read(ctx, req)
	}
	provider.Delete = func(ctx context.Context, req p.DeleteRequest) error {
		req.Properties = plain(req.Properties)
		return remove(ctx, req)
	}
	provider.Invoke = func(ctx context.Context, req p.InvokeRequest) (p.InvokeResponse, error) {
		response, err := invoke(ctx, req)
		if err == nil && len(response.Failures) == 0 {
			response.Return = response.Return.Set("id", property.New(resultID(response.Return)))
		}
		return response, err
	}
	provider.GetSchema = func(ctx context.Context, req p.GetSchemaRequest) (p.GetSchemaResponse, error) {
		response, err := schema(ctx, req)
		if err != nil {
			return response, err
		}
		response.Schema, err = completed(response.Schema)
		return response, err
	}
	return provider
}

// plain leaves out properties whose names mark them as bookkeeping.
func plain(properties property.Map) property.Map {
	for name := range properties.All {
		if strings.HasPrefix(name, "__") {
			properties = properties.Delete(name)
		}
	}
	return properties
}

// resultID is the digest of the public key or of the certificates of the chain.
func resultID(result property.Map) string {
	if key, ok := result.GetOk("publicKeyPem"); ok {
		return digest(key.AsString())
	}
	var all strings.Builder
	for _, certificate := range result.Get("certificates").AsArray().All {
		all.WriteString(certificate.AsMap().Get("certPem").AsString())
	}
	return digest(all.String())
}

// completed adds the results' ids and says how a token's module is written (index/privateKey means index).
func completed(text string) (string, error) {
	var document map[string]any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return "", err
	}
	document["meta"] = map[string]any{"moduleFormat": "(.*)(?:/[^/]*)"}
	functions, _ := document["functions"].(map[string]any)
	for _, function := range functions {
		outputs, _ := function.(map[string]any)["outputs"].(map[string]any)
		properties, _ := outputs["properties"].(map[string]any)
		required, _ := outputs["required"].([]any)
		properties["id"] = map[string]any{"type": "string"}
		outputs["required"] = append(required, "id")
	}
	out, err := json.Marshal(document)
	return string(out), err
}
