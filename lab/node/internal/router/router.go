// Package router is the miniature ingress: it answers every host, and streams for as long as a client listens.
//
// Owns: ports 80 and 443 of a node. Does not own: whether it runs (kubelet), nor its certificate (controllers).
package router

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	journal "okd-libvirt/lab/node/internal/shell/log"
)

// drain is how long open connections may take to end by themselves once the router stops.
const drain = 5 * time.Minute

// Router serves on one node.
type Router struct {
	Address string
	// Hostname is told to clients: whoever answered.
	Hostname string

	mutex       sync.Mutex
	plain       *http.Server
	secure      *http.Server
	certificate *tls.Certificate
}

// Run starts or stops serving; HTTPS begins once there is a certificate.
func (r *Router) Run(run bool, certificate *tls.Certificate) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if !run {
		r.stop()
		return
	}
	if certificate != nil {
		r.certificate = certificate
	}
	if r.plain == nil {
		r.plain = r.serve(80, nil)
	}
	if r.secure == nil && r.certificate != nil {
		r.secure = r.serve(443, &tls.Config{Certificates: []tls.Certificate{*r.certificate}, MinVersion: tls.VersionTLS12})
	}
}

func (r *Router) serve(port int, config *tls.Config) *http.Server {
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", r.Address, port))
	if err != nil {
		journal.Say("router", "%v", err)
		return nil
	}
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(r.answer),
		ReadHeaderTimeout: 10 * time.Second,
		// The load balancer's checks open and close connections all day.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			journal.Say("router", "%v", err)
		}
	}()
	journal.Say("router", "serving on %s", listener.Addr())
	return server
}

// stop takes no new connections, and lets those that are open end by themselves.
func (r *Router) stop() {
	for _, server := range []*http.Server{r.plain, r.secure} {
		if server == nil {
			continue
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), drain)
			defer cancel()
			if server.Shutdown(ctx) != nil {
				server.Close()
			}
		}()
	}
	r.plain, r.secure = nil, nil
}

func (r *Router) answer(answer http.ResponseWriter, request *http.Request) {
	answer.Header().Set("Content-Type", "text/plain; charset=utf-8")
	answer.Header().Set("X-Miniature-Router", r.Hostname)
	if request.URL.Path == "/stream" {
		r.stream(answer, request)
		return
	}
	fmt.Fprintf(answer, "miniature ingress of %s\n", request.Host)
}

// stream sends a line a second until the client ends.
func (r *Router) stream(answer http.ResponseWriter, request *http.Request) {
	control := http.NewResponseController(answer)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for n := 1; ; n++ {
		if _, err := fmt.Fprintf(answer, "%d %s\n", n, r.Hostname); err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-request.Context().Done():
			return
		case <-ticker.C:
		}
	}
}
