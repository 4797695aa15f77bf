package cluster

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

// applier brings manifests to the API.
type applier struct {
	api *rest.Client
	// known holds the resources by group version, as discovery tells them.
	known map[string][]rest.Object
	// spaces are the namespaces that exist.
	spaces map[string]bool
}

// files returns the installer's manifests below root, in order.
func files(root string) ([]string, error) {
	var found []string
	for _, directory := range []string{"manifests", "openshift"} {
		rows, err := os.ReadDir(filepath.Join(root, "opt/openshift", directory))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(row.Name())) {
				found = append(found, filepath.Join(root, "opt/openshift", directory, row.Name()))
			}
		}
	}
	return found, nil
}

// apply makes what is not there yet. It goes on until everything is, as the real bootstrap does.
func (a *applier) apply(ctx context.Context, root string) error {
	paths, err := files(root)
	if err != nil {
		return err
	}
	said := ""
	for ctx.Err() == nil {
		var left []string
		var problem error
		for _, path := range paths {
			if err := a.one(ctx, path); err != nil {
				left = append(left, path)
				problem = fmt.Errorf("%s: %w", filepath.Base(path), err)
			}
		}
		if len(left) == 0 {
			log.Say(unit, "all %d manifests are applied", len(paths))
			return nil
		}
		if problem.Error() != said {
			log.Say(unit, "[%d of %d] manifests could not be applied yet: %v", len(left), len(paths), problem)
			said = problem.Error()
		}
		pause(ctx, time.Second)
	}
	return ctx.Err()
}

// one applies a file's first object: the real bootstrap reads no second one.
func (a *applier) one(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text = bytes.TrimPrefix(bytes.TrimSpace(text), []byte("---"))
	first, _, _ := strings.Cut(string(text), "\n---")
	var object rest.Object
	if err := yaml.Unmarshal([]byte(first), &object); err != nil {
		return err
	}
	collection, err := a.collection(ctx, object)
	if err != nil {
		return err
	}
	delete(rest.Map(object, "metadata"), "creationTimestamp")
	_, err = a.api.Ensure(ctx, collection, object)
	return err
}

// collection asks discovery how a kind is called and whether it lies in a namespace; a kind that the API has never heard
// of is guessed.
func (a *applier) collection(ctx context.Context, object rest.Object) (string, error) {
	version, kind := rest.Text(object, "apiVersion"), rest.Text(object, "kind")
	if version == "" || kind == "" {
		return "", fmt.Errorf("no apiVersion or no kind")
	}
	namespace := rest.Text(object, "metadata", "namespace")
	if scoped, found := a.namespaced(ctx, version, kind); found && !scoped {
		namespace = ""
		delete(rest.Map(object, "metadata"), "namespace")
	}
	return rest.Collection(version, kind, namespace), a.space(ctx, namespace)
}

func (a *applier) namespaced(ctx context.Context, version, kind string) (scoped, found bool) {
	rows, asked := a.known[version]
	if !asked {
		path := strings.TrimSuffix(rest.Collection(version, kind, ""), "/"+filepath.Base(rest.Collection(version, kind, "")))
		list, err := a.api.Get(ctx, path)
		if err != nil {
			return false, false
		}
		rows = rest.Items(list, "resources")
		a.known[version] = rows
	}
	for _, row := range rows {
		if rest.Text(row, "kind") == kind && !strings.Contains(rest.Text(row, "name"), "/") {
			return rest.True(row, "namespaced"), true
		}
	}
	return false, false
}

func (a *applier) space(ctx context.Context, name string) error {
	if name == "" || a.spaces[name] {
		return nil
	}
	_, err := a.api.Ensure(ctx, rest.Namespaces, rest.Object{
		"apiVersion": "v1", "kind": "Namespace", "metadata": rest.Object{"name": name},
	})
	a.spaces[name] = err == nil
	return err
}

// namespaces are those that the controllers and the nodes write into.
var namespaces = []string{
	"default", "kube-system", "kube-node-lease", "kube-public", "openshift-miniature", "openshift-ingress",
	"openshift-ingress-operator", "openshift-config", "openshift-etcd", "openshift-config-managed", "openshift-console",
	"openshift-machine-api", "openshift-machine-config-operator", "openshift-kube-apiserver-operator",
}

// ensure makes an object unless it is there; a conflict is somebody else's object, which stays.
func (a *applier) ensure(ctx context.Context, collection string, object rest.Object) error {
	if _, err := a.api.Ensure(ctx, collection, object); err != nil && !rest.Refused(err, http.StatusConflict) {
		return fmt.Errorf("%s: %w", rest.Name(object), err)
	}
	return nil
}
