package store

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// One port serves both: a connection's first byte says which it is.
const (
	forRaft    = 'R'
	forMembers = 'M'
)

// How long a connection may take to be made: TLS takes an emulated machine a second.
const handshake = 10 * time.Second

// streams is the members' port: mutual TLS, raft's connections and our own.
type streams struct {
	net.Listener
	config  *tls.Config
	raft    chan net.Conn
	members chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func listen(address string, config *tls.Config) (*streams, error) {
	config = config.Clone()
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.MinVersion = tls.VersionTLS12
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &streams{Listener: listener, config: config, closed: make(chan struct{}),
		raft: make(chan net.Conn), members: make(chan net.Conn)}
	go s.sort()
	return s, nil
}

func (s *streams) sort() {
	for {
		plain, err := s.Listener.Accept()
		if err != nil {
			select {
			case <-s.closed:
				return
			case <-time.After(100 * time.Millisecond): // out of descriptors, say: it passes
				continue
			}
		}
		go s.admit(tls.Server(plain, s.config))
	}
}

func (s *streams) admit(conn *tls.Conn) {
	var first [1]byte
	_ = conn.SetDeadline(time.Now().Add(handshake))
	if _, err := conn.Read(first[:]); err != nil {
		conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	queue := map[byte]chan net.Conn{forRaft: s.raft, forMembers: s.members}[first[0]]
	if queue == nil {
		conn.Close()
		return
	}
	select {
	case queue <- conn:
	case <-s.closed:
		conn.Close()
	}
}

// Accept gives raft its connections.
func (s *streams) Accept() (net.Conn, error) {
	select {
	case conn := <-s.raft:
		return conn, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close ends the port. Raft closes it as well, so it may come twice.
func (s *streams) Close() error {
	err := net.ErrClosed
	s.once.Do(func() {
		close(s.closed)
		err = s.Listener.Close()
	})
	return err
}

// Dial makes raft's connections.
func (s *streams) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.connect(ctx, string(address), forRaft)
}

func (s *streams) dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	return s.connect(ctx, address, forMembers)
}

func (s *streams) connect(ctx context.Context, address string, purpose byte) (net.Conn, error) {
	dialer := tls.Dialer{NetDialer: &net.Dialer{KeepAlive: 5 * time.Second}, Config: s.config}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte{purpose}); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return conn, nil
}

// serve answers the other members' questions until the context ends.
func (s *streams) serve(ctx context.Context, answer func(context.Context, question) reply) {
	for {
		select {
		case conn := <-s.members:
			go converse(ctx, conn, answer)
		case <-ctx.Done():
			return
		}
	}
}
