// Package ignite applies an ignition config to a directory, once: parsed and merged by the official library, fetched
// over TLS that only the config's own authorities vouch for.
//
// Owns the order of it all and the stamp that says it is done. Does not own fetching (fetch.go) nor writing (apply.go).
package ignite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/coreos/ignition/v2/config"
	exp "github.com/coreos/ignition/v2/config/v3_6_experimental"
	"github.com/coreos/ignition/v2/config/v3_6_experimental/types"

	"okd-libvirt/lab/node/internal/shell/log"
)

// Stamp is there, below the root, when a config has been applied.
const Stamp = "etc/.ignition-result.json"

const unit = "ignition"

// deepest is how many configs may point to one another.
const deepest = 8

// Invalid says that a config can not be applied, however often one tries.
type Invalid struct{ reason error }

func (e Invalid) Error() string { return "the config is invalid: " + e.reason.Error() }

func (e Invalid) Unwrap() error { return e.reason }

// Options say what is applied and where to.
type Options struct {
	Config string // the file with the config
	Root   string
	APIInt string // where hosts named api-int… are found, instead of asking the name server
	Fault  string // "ignition": the config is refused
}

// Run applies the config unless the stamp is there. It returns when that is done, the config is invalid, or ctx ends.
func Run(ctx context.Context, options Options) error {
	stamp := filepath.Join(options.Root, Stamp)
	if _, err := os.Stat(stamp); err == nil {
		log.Say(unit, "applied before, see /%s", Stamp)
		return nil
	}
	if options.Fault == "ignition" {
		return Invalid{errors.New("refused on request (miniature.fault=ignition)")}
	}
	raw, err := os.ReadFile(options.Config)
	if err != nil {
		return Invalid{err}
	}
	first, err := parse(raw, filepath.Base(options.Config))
	if err != nil {
		return err
	}
	fetcher := &fetcher{apiInt: options.APIInt}
	whole, err := resolve(ctx, fetcher, first, 0)
	if err != nil {
		return err
	}
	count, err := apply(ctx, fetcher, whole, options.Root)
	if err != nil {
		return err
	}
	// What the stamp stands for must be on the disk before it.
	syscall.Sync()
	if err := writeStamp(stamp, count); err != nil {
		return err
	}
	syscall.Sync()
	log.Say(unit, "Ignition finished: %d files, %d directories, %d links, %d units, %d SSH keys",
		count.Files, count.Directories, count.Links, count.Units, count.Keys)
	return nil
}

func parse(raw []byte, name string) (types.Config, error) {
	parsed, report, err := config.Parse(raw)
	for _, entry := range report.Entries {
		log.Say(unit, "%s: %s", name, entry)
	}
	if err != nil {
		return types.Config{}, Invalid{fmt.Errorf("%s: %w", name, err)}
	}
	return parsed, nil
}

// resolve fetches the configs that one points to, and merges them in their order; the one that points wins.
func resolve(ctx context.Context, fetcher *fetcher, parent types.Config, depth int) (types.Config, error) {
	if depth > deepest {
		return parent, Invalid{fmt.Errorf("configs point to one another more than %d deep", deepest)}
	}
	if err := fetcher.trust(parent.Ignition.Security.TLS.CertificateAuthorities); err != nil {
		return parent, err
	}
	get := func(resource types.Resource) (types.Config, error) {
		raw, err := fetcher.get(ctx, resource, configType)
		if err != nil {
			return types.Config{}, err
		}
		child, err := parse(raw, where(resource))
		if err != nil {
			return types.Config{}, err
		}
		return resolve(ctx, fetcher, child, depth+1)
	}
	if parent.Ignition.Config.Replace.Source != nil {
		return get(parent.Ignition.Config.Replace)
	}
	var merged types.Config
	for _, resource := range parent.Ignition.Config.Merge {
		child, err := get(resource)
		if err != nil {
			return parent, err
		}
		merged = exp.Merge(merged, child)
	}
	parent.Ignition.Config.Merge = nil
	return exp.Merge(merged, parent), nil
}

func writeStamp(path string, count counted) error {
	content, err := json.Marshal(map[string]any{
		"provisioningDate": time.Now().UTC().Format(time.RFC3339),
		"applied":          count,
	})
	if err != nil {
		return err
	}
	return place(path, append(content, '\n'), 0o600)
}
