// Package api is the miniature Kubernetes API: enough of the real one's surface that unchanged clients (oc,
// openshift-install, client-go) work with it.
//
// Owns: the HTTP surface, who may do what, what each resource looks like. Does not own: keeping objects (package store),
// nor anything that happens by itself in a cluster: controllers are clients like any other.
package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"okd-libvirt/lab/node/internal/store"
)

// How long requests may take to end once the server stops; watches end at once.
const farewell = 5 * time.Second

// Options say what the API serves, where, and whom it believes.
type Options struct {
	Store *store.Store
	// Address is where it listens, as "ip:6443".
	Address string
	// Certificates are chosen by the name that a client asks for; the first one is for those that ask for none.
	Certificates []tls.Certificate
	// ClientCAs signed the client certificates: common name is the user, organisations are the groups.
	ClientCAs *x509.CertPool
	// Version is what /version tells, as "v1.32.0+miniature".
	Version string
	// Log takes the API's own messages.
	Log func(format string, args ...any)
	// Delay is how long a server that stops still answers requests while /readyz fails, for load balancers to notice.
	Delay time.Duration
}

// Server is one API server.
type Server struct {
	options Options
	store   *store.Store
	ending  chan struct{}
	once    sync.Once
	leaving atomic.Bool
	known   sync.Map
}

// New prepares a server.
func New(options Options) (*Server, error) {
	if options.Store == nil || options.ClientCAs == nil {
		return nil, errors.New("the API needs a store and the authorities of its clients")
	}
	if options.Log == nil {
		options.Log = func(string, ...any) {}
	}
	if options.Version == "" {
		options.Version = "v1.32.0+miniature"
	}
	return &Server{options: options, store: options.Store, ending: make(chan struct{})}, nil
}

// Run serves until the context ends or the listener fails.
func (s *Server) Run(ctx context.Context) error {
	listener, err := net.Listen("tcp", s.options.Address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       3 * time.Minute,
		ErrorLog:          quietLog(s.options.Log),
		TLSConfig: &tls.Config{
			Certificates: s.options.Certificates,
			MinVersion:   tls.VersionTLS12,
			// A foreign certificate is no reason to refuse the connection: it is answered with 401.
			ClientAuth: tls.RequestClientCert,
			ClientCAs:  s.options.ClientCAs,
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(listener, "", "") }()
	s.options.Log("serving on %s", s.options.Address)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.leaving.Store(true)
	select {
	case <-time.After(s.options.Delay):
	case err := <-failed:
		return err
	}
	s.once.Do(func() { close(s.ending) })
	ending, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		return server.Close()
	}
	return nil
}

// Handler returns the API as a handler, for servers of tests.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(s.handle)
}
