package machineconfig

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"time"

	"okd-libvirt/lab/node/internal/cluster/pki"
	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

const unit = "machine-config-server"

// Server serves machine config.
type Server struct {
	Source *Source
	// Address is where it listens.
	Address string
	Pair    pki.Pair
	// Bootstrap serves the control plane only.
	Bootstrap bool
}

// Run serves until the context ends.
func (s *Server) Run(ctx context.Context) error {
	certificate, err := s.Pair.TLS()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.Address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           s.handler(),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		// The load balancer opens and closes a connection every second.
		ErrorLog: stdlog.New(io.Discard, "", 0),
	}
	go func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if server.Shutdown(ending) != nil {
			server.Close()
		}
	}()
	log.Say(unit, "serving on %s", s.Address)
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(answer http.ResponseWriter, _ *http.Request) { answer.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /config/{pool}", s.config)
	return mux
}

func (s *Server) config(answer http.ResponseWriter, request *http.Request) {
	pool := request.PathValue("pool")
	from, _, _ := strings.Cut(request.RemoteAddr, ":")
	made, err := s.made(request.Context(), pool)
	if err != nil {
		code := http.StatusInternalServerError
		if rest.Refused(err, http.StatusNotFound) {
			code = http.StatusNotFound
		}
		log.Say(unit, "pool %s asked by %s: %d %v", pool, from, code, err)
		http.Error(answer, err.Error(), code)
		return
	}
	text, err := json.Marshal(made)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusInternalServerError)
		return
	}
	log.Say(unit, "pool %s asked by %s: served", pool, from)
	answer.Header().Set("Content-Type", "application/json")
	if _, err := answer.Write(text); err != nil {
		log.Say(unit, "pool %s asked by %s: %v", pool, from, err)
	}
}

func (s *Server) made(ctx context.Context, pool string) (rest.Object, error) {
	if s.Bootstrap && pool != "master" {
		return nil, refused(pool)
	}
	return s.Source.Render(ctx, pool)
}
