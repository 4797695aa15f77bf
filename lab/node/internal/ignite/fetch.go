package ignite

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/ignition/v2/config/v3_6_experimental/types"
	"github.com/vincent-petithory/dataurl"

	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	configType = "application/vnd.coreos.ignition+json;version=3.5.0, */*;q=0.1"
	anyType    = "*/*"
	firstPause = time.Second
	lastPause  = 10 * time.Second
	tryLimit   = 30 * time.Second
	sizeLimit  = 64 << 20
)

// fetcher reads resources: from data URLs, and over HTTP until that succeeds.
type fetcher struct {
	apiInt      string
	authorities *x509.CertPool
}

// trust adds authorities; before the first, no server is trusted.
func (f *fetcher) trust(resources []types.Resource) error {
	if f.authorities == nil {
		f.authorities = x509.NewCertPool()
	}
	for _, resource := range resources {
		source := text(resource.Source)
		if !strings.HasPrefix(source, "data:") {
			return Invalid{fmt.Errorf("certificate authority: only data URLs are understood, not %s", where(resource))}
		}
		content, err := f.read(context.Background(), nil, resource, anyType)
		if err != nil {
			return Invalid{fmt.Errorf("certificate authority: %w", err)}
		}
		if !f.authorities.AppendCertsFromPEM(content) {
			return Invalid{errors.New("certificate authority: no certificate in PEM form")}
		}
	}
	return nil
}

// get returns what a resource holds. What is not there or not to be trusted yet is asked for again, with growing pauses.
func (f *fetcher) get(ctx context.Context, resource types.Resource, accept string) ([]byte, error) {
	client := f.client()
	defer client.CloseIdleConnections()
	for try, pause := 1, firstPause; ; try++ {
		content, err := f.read(ctx, client, resource, accept)
		if err == nil {
			if source := text(resource.Source); try > 1 || source != "" && !strings.HasPrefix(source, "data:") {
				log.Say(unit, "GET %s: %d bytes (attempt #%d)", where(resource), len(content), try)
			}
			return content, nil
		}
		if errors.As(err, new(Invalid)) {
			return nil, err
		}
		log.Say(unit, "GET error: %v (attempt #%d, next in %s)", err, try, pause)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause = min(pause*3/2, lastPause)
	}
}

func (f *fetcher) client() *http.Client {
	dialer := &net.Dialer{Timeout: tryLimit}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err == nil && f.apiInt != "" && strings.HasPrefix(host, "api-int.") {
			address = net.JoinHostPort(hostOf(f.apiInt), port)
		}
		return dialer.DialContext(ctx, network, address)
	}
	settings := &tls.Config{RootCAs: f.authorities, MinVersion: tls.VersionTLS12}
	return &http.Client{
		Transport: &http.Transport{DialContext: dial, TLSClientConfig: settings},
		Timeout:   tryLimit,
	}
}

// read returns what a resource holds, or an Invalid where another try makes no sense.
func (f *fetcher) read(ctx context.Context, client *http.Client, resource types.Resource, accept string) ([]byte, error) {
	source := text(resource.Source)
	var content []byte
	var err error
	switch parsed, failure := url.Parse(source); {
	case source == "":
		return nil, nil
	case strings.HasPrefix(source, "data:"):
		var decoded *dataurl.DataURL
		if decoded, err = dataurl.DecodeString(source); err != nil {
			return nil, Invalid{err}
		}
		content = decoded.Data
	case failure != nil:
		return nil, Invalid{failure}
	case parsed.Scheme == "http" || parsed.Scheme == "https":
		if content, err = download(ctx, client, resource, accept); err != nil {
			return nil, err
		}
	default:
		return nil, Invalid{fmt.Errorf("%s: only data, http and https are understood", where(resource))}
	}
	if text(resource.Compression) == "gzip" {
		if content, err = unzip(content); err != nil {
			return nil, Invalid{fmt.Errorf("%s: %w", where(resource), err)}
		}
	}
	return content, verify(content, resource)
}

func download(ctx context.Context, client *http.Client, resource types.Resource, accept string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, text(resource.Source), nil)
	if err != nil {
		return nil, Invalid{err}
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "Ignition/miniature")
	for _, header := range resource.HTTPHeaders {
		request.Header.Set(header.Name, text(header.Value))
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(io.LimitReader(answer.Body, sizeLimit))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where(resource), err)
	}
	if answer.StatusCode != http.StatusOK {
		first, _, _ := strings.Cut(strings.TrimSpace(string(content[:min(len(content), 200)])), "\n")
		return nil, fmt.Errorf("%s: %s %s", where(resource), answer.Status, first)
	}
	return content, nil
}

func verify(content []byte, resource types.Resource) error {
	wanted := text(resource.Verification.Hash)
	if wanted == "" {
		return nil
	}
	kind, digest, _ := strings.Cut(wanted, "-")
	var found string
	switch kind {
	case "sha512":
		sum := sha512.Sum512(content)
		found = hex.EncodeToString(sum[:])
	case "sha256":
		sum := sha256.Sum256(content)
		found = hex.EncodeToString(sum[:])
	default:
		return Invalid{fmt.Errorf("%s: unknown hash %s", where(resource), kind)}
	}
	if !strings.EqualFold(found, digest) {
		return Invalid{fmt.Errorf("%s: %s is %s, not %s", where(resource), kind, found, digest)}
	}
	return nil
}

func unzip(content []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(reader, sizeLimit))
}

// where names a resource in messages; a data URL's content may be secret.
func where(resource types.Resource) string {
	if source := text(resource.Source); !strings.HasPrefix(source, "data:") {
		return source
	}
	return "data URL"
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

func text(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}
