// Package tlsplugin provides the resources and functions of the Pulumi package tls: private keys, certificates and
// certificate requests, made in this process and kept in the state.
//
// It owns no stored key: what it makes is handed to the engine, private keys marked as secrets. Its interface is that
// of the SDK pulumi-tls; texts about single properties are in that SDK's documentation.
package tlsplugin

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// New returns the provider.
func New() (p.Provider, error) {
	provider, err := infer.NewProviderBuilder().
		WithDescription("A Pulumi package to create TLS resources in Pulumi programs.").
		WithConfig(infer.Config(&Config{})).
		WithResources(
			infer.Resource(&PrivateKey{}),
			infer.Resource(&SelfSignedCert{}),
			infer.Resource(&LocallySignedCert{}),
			infer.Resource(&CertRequest{}),
		).
		WithFunctions(
			infer.Function(&GetCertificate{}),
			infer.Function(&GetPublicKey{}),
		).
		Build()
	return adapted(provider), err
}

func value[T any](pointer *T, otherwise T) T {
	if pointer == nil {
		return otherwise
	}
	return *pointer
}

// checker collects what is wrong with inputs; a value that is not known yet is never wrong.
type checker struct {
	inputs   property.Map
	failures []p.CheckFailure
}

func (c *checker) known(name string) bool {
	v, ok := c.inputs.GetOk(name)
	return ok && !v.HasComputed()
}

func (c *checker) fail(name, format string, arguments ...any) {
	c.failures = append(c.failures, p.CheckFailure{Property: name, Reason: fmt.Sprintf(format, arguments...)})
}

func (c *checker) oneOf(name, got string, allowed []string) {
	if c.known(name) && !slices.Contains(allowed, got) {
		c.fail(name, "%q is none of %s", got, strings.Join(allowed, ", "))
	}
}

func (c *checker) notNegative(name string, got int) {
	if c.known(name) && got < 0 {
		c.fail(name, "%d is negative", got)
	}
}

// oneKey wants exactly one of a key and its write-only variant, and a version beside the latter.
func (c *checker) oneKey(name string) {
	_, plain := c.inputs.GetOk(name)
	_, writeOnly := c.inputs.GetOk(name + "Wo")
	_, version := c.inputs.GetOk(name + "WoVersion")
	switch {
	case plain == writeOnly:
		c.fail(name, "exactly one of %s and %sWo must be set", name, name)
	case writeOnly && !version:
		c.fail(name+"WoVersion", "%sWo needs %sWoVersion: it alone tells that the key changed", name, name)
	case plain && version:
		c.fail(name+"WoVersion", "%sWoVersion goes with %sWo", name, name)
	}
}

type diff struct{ changes map[string]p.PropertyDiff }

func newDiff() diff { return diff{map[string]p.PropertyDiff{}} }

func (d diff) response() p.DiffResponse {
	return p.DiffResponse{HasChanges: len(d.changes) > 0, DetailedDiff: d.changes}
}

func replaces[T any](d diff, name string, before, after T) {
	if !reflect.DeepEqual(before, after) {
		d.changes[name] = p.PropertyDiff{Kind: p.UpdateReplace, InputDiff: true}
	}
}

func updates[T any](d diff, name string, before, after T) {
	if !reflect.DeepEqual(before, after) {
		d.changes[name] = p.PropertyDiff{Kind: p.Update, InputDiff: true}
	}
}

// list makes an absent and an empty list the same.
func list(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	return words
}

func (c *checker) names(addresses, uris []string) {
	if !c.known("ipAddresses") {
		addresses = nil
	}
	if !c.known("uris") {
		uris = nil
	}
	parseNames(addresses, uris, c.fail)
}

func (c *checker) err() error {
	reasons := make([]string, len(c.failures))
	for n, failure := range c.failures {
		reasons[n] = failure.Property + ": " + failure.Reason
	}
	return errors.New(strings.Join(reasons, "; "))
}
