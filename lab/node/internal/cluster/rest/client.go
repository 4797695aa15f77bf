// Package rest is a small client of the Kubernetes API: JSON over HTTPS with a client certificate.
//
// Owns requests, their errors, and reading a kubeconfig. Does not own what is asked.
package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options say which API is asked, and as whom.
type Options struct {
	// Server is host:port; the host is what the certificate is held against.
	Server string
	// Dial is the host:port that is dialled instead, if not empty.
	Dial string
	// Name is held against the certificate instead of Server's host, if not empty.
	Name string
	CAs  *x509.CertPool
	// Certificate is the client's, asked for at each new connection.
	Certificate func() (*tls.Certificate, error)
}

// Client asks one API.
type Client struct {
	base string
	http *http.Client
}

// New returns a client. It keeps a few connections and notices a dead peer within the timeouts below.
func New(o Options) *Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 5 * time.Second}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if o.Dial != "" {
				address = o.Dial
			}
			return dialer.DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{
			RootCAs:    o.CAs,
			ServerName: o.Name,
			MinVersion: tls.VersionTLS12,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if o.Certificate == nil {
					return &tls.Certificate{}, nil
				}
				return o.Certificate()
			},
		},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 15 * time.Second,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       90 * time.Second,
	}
	return &Client{base: "https://" + o.Server, http: &http.Client{Transport: transport, Timeout: 20 * time.Second}}
}

// Forget closes the connections that no request is using: the next ones go to whichever server answers.
func (c *Client) Forget() { c.http.CloseIdleConnections() }

// Refusal is an answer that is no success.
type Refusal struct {
	Code    int
	Reason  string
	Message string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.Code, r.Reason, r.Message) }

// Refused tells whether an error is a refusal with one of the codes.
func Refused(err error, codes ...int) bool {
	var found *Refusal
	if !errors.As(err, &found) {
		return false
	}
	for _, code := range codes {
		if found.Code == code {
			return true
		}
	}
	return false
}

// Do sends one request and returns the object that is answered.
func (c *Client) Do(ctx context.Context, method, path, content string, body []byte) (Object, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if content != "" {
		request.Header.Set("Content-Type", content)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	var found Object
	if err := json.Unmarshal(text, &found); answer.StatusCode >= 300 || err != nil {
		return nil, refusal(answer, text, found)
	}
	return found, nil
}

func refusal(answer *http.Response, text []byte, status Object) error {
	message := Text(status, "message")
	if message == "" {
		message = strings.TrimSpace(string(text[:min(len(text), 200)]))
	}
	reason := Text(status, "reason")
	if reason == "" {
		reason = http.StatusText(answer.StatusCode)
	}
	return &Refusal{Code: answer.StatusCode, Reason: reason, Message: message}
}

func (c *Client) send(ctx context.Context, method, path, content string, body any) (Object, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return c.Do(ctx, method, path, content, text)
}

// Get returns an object.
func (c *Client) Get(ctx context.Context, path string) (Object, error) {
	return c.Do(ctx, http.MethodGet, path, "", nil)
}

// Text returns the body of a path that answers no object, /readyz say.
func (c *Client) Text(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err == nil && answer.StatusCode >= 300 {
		err = refusal(answer, text, nil)
	}
	return err
}

// List returns the objects of a collection.
func (c *Client) List(ctx context.Context, path string, query ...string) ([]Object, error) {
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	list, err := c.Get(ctx, path)
	if err != nil {
		return nil, err
	}
	return Items(list, "items"), nil
}

// Create posts an object to its collection.
func (c *Client) Create(ctx context.Context, collection string, o Object) (Object, error) {
	return c.send(ctx, http.MethodPost, collection, "application/json", o)
}

// Ensure posts an object unless it is there; it tells whether it was made.
func (c *Client) Ensure(ctx context.Context, collection string, o Object) (bool, error) {
	_, err := c.Create(ctx, collection, o)
	if Refused(err, http.StatusConflict) {
		return false, nil
	}
	return err == nil, err
}

// Update puts an object; a stale one is refused (409).
func (c *Client) Update(ctx context.Context, path string, o Object) (Object, error) {
	return c.send(ctx, http.MethodPut, path, "application/json", o)
}

// Merge patches an object by JSON merge patch.
func (c *Client) Merge(ctx context.Context, path string, patch Object) (Object, error) {
	return c.send(ctx, http.MethodPatch, path, "application/merge-patch+json", patch)
}

// Delete removes an object; one that is gone is fine.
func (c *Client) Delete(ctx context.Context, path string) error {
	_, err := c.Do(ctx, http.MethodDelete, path, "", nil)
	if Refused(err, http.StatusNotFound) {
		return nil
	}
	return err
}
