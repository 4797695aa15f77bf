// Package release asks the registry for the release image: the bootstrap begins with what it says.
//
// Owns: finding the image's name in what the installer wrote, logging in, trusting, reading its labels. Does not own: what
// becomes of the version.
package release

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"okd-libvirt/lab/node/internal/cluster/rest"
)

const (
	label  = "io.openshift.release"
	accept = "application/vnd.docker.distribution.manifest.v2+json,application/vnd.oci.image.manifest.v1+json," +
		"application/vnd.docker.distribution.manifest.list.v2+json,application/vnd.oci.image.index.v1+json"
	limit = 4 << 20
)

var (
	script = regexp.MustCompile(`(?m)^RELEASE_IMAGE=(\S+)$`)
	name   = regexp.MustCompile(`^([^/]+)/(.+?)(?:@(sha256:[0-9a-f]{64})|:([\w.-]+))$`)
)

// Image returns the release image's pull spec, as the installer wrote it below root.
func Image(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "usr/local/bin/release-image-download.sh"))
	if err != nil {
		return "", err
	}
	found := script.FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("release-image-download.sh names no RELEASE_IMAGE")
	}
	return string(found[1]), nil
}

// Version pulls the image's manifest and configuration and returns the version that it is labelled with.
func Version(ctx context.Context, root, image string) (string, error) {
	parts := name.FindStringSubmatch(image)
	if parts == nil {
		return "", fmt.Errorf("%s is no pull spec", image)
	}
	from := registry{root: root, host: parts[1], base: "https://" + parts[1] + "/v2/" + parts[2]}
	if err := from.prepare(); err != nil {
		return "", err
	}
	manifest, err := from.get(ctx, "/manifests/"+parts[3]+parts[4])
	for _, one := range rest.Items(manifest, "manifests") {
		if err == nil && rest.Text(one, "platform", "architecture") == "amd64" {
			manifest, err = from.get(ctx, "/manifests/"+rest.Text(one, "digest"))
			break
		}
	}
	if err != nil {
		return "", err
	}
	config, err := from.get(ctx, "/blobs/"+rest.Text(manifest, "config", "digest"))
	if err != nil {
		return "", err
	}
	version := rest.Text(config, "config", "Labels", label)
	if version == "" {
		return "", fmt.Errorf("%s is no release image: it has no label %s", image, label)
	}
	return version, nil
}

type registry struct {
	root, host, base string
	login            string
	client           *http.Client
}

// prepare reads the pull secret and the certificates that the installer put on the machine.
func (r *registry) prepare() error {
	text, err := os.ReadFile(filepath.Join(r.root, "root/.docker/config.json"))
	if err != nil {
		return err
	}
	var secret rest.Object
	if err := json.Unmarshal(text, &secret); err != nil {
		return fmt.Errorf("the pull secret: %w", err)
	}
	r.login = rest.Text(secret, "auths", r.host, "auth")
	bundle, err := os.ReadFile(filepath.Join(r.root, "etc/pki/ca-trust/source/anchors/ca.crt"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	trusted, err := x509.SystemCertPool()
	if err != nil {
		trusted = x509.NewCertPool()
	}
	trusted.AppendCertsFromPEM(bundle)
	r.client = &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}},
		Timeout:   30 * time.Second,
	}
	return nil
}

func (r *registry) get(ctx context.Context, path string) (rest.Object, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	if r.login != "" {
		request.Header.Set("Authorization", "Basic "+r.login)
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, limit))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s%s: %s %s", r.base, path, answer.Status, strings.TrimSpace(string(text)))
	}
	var found rest.Object
	return found, json.Unmarshal(text, &found)
}
