// Package store keeps the miniature cluster's objects: in memory, replicated by Raft between the control-plane
// machines, and on disk, so that they outlive a power cut of all of them at once.
//
// Owns: objects, their revisions, the history that watches read, membership. Does not own: what an object may hold and
// who may ask for it (package api). Reads are answered by every member from its own copy, with or without a leader.
package store

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// Options say where a member of the store lives and how it knows the others.
type Options struct {
	// Dir is kept over restarts; it belongs to this member alone.
	Dir string
	// ID is the member's name: unique, and the same over restarts.
	ID string
	// Address is where it listens and where the others reach it, as "ip:2380".
	Address string
	// TLS serves and dials: Certificates, RootCAs and ClientCAs are needed. With ServerName set, that name is expected of
	// every other member; without, its address.
	TLS *tls.Config
	// Bootstrap makes a store whose only member is this one, unless Dir holds a store already.
	Bootstrap bool
	// Heartbeat is how long a leader may be silent, 2 s if zero.
	Heartbeat time.Duration
	// Patience is how long a write waits for a leader when its context sets no shorter limit, 15 s if zero: an election
	// and a half.
	Patience time.Duration
	// Compact is how many writes the log grows by before a snapshot takes their place, 2048 if zero.
	Compact uint64
	// Log takes the store's own messages.
	Log func(format string, args ...any)
}

// Store is one member.
type Store struct {
	options Options
	machine *machine
	raft    *raft.Raft
	logs    *boltdb.BoltStore
	network *raft.NetworkTransport
	streams *streams
	peers   *peers
	health  health
	ctx     context.Context
	stop    context.CancelFunc
}

// Open starts a member. It answers reads at once, and is current once WaitReady returns.
func Open(options Options) (*Store, error) {
	if options.TLS == nil || options.TLS.RootCAs == nil || options.TLS.ClientCAs == nil {
		return nil, errors.New("the store speaks mutual TLS only: certificates and both pools of authorities are needed")
	}
	if options.Log == nil {
		options.Log = func(string, ...any) {}
	}
	if options.Heartbeat == 0 {
		options.Heartbeat = 2 * time.Second
	}
	if options.Patience == 0 {
		options.Patience = 15 * time.Second
	}
	if options.Compact == 0 {
		options.Compact = 2048
	}
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, err
	}
	s := &Store{options: options, machine: newMachine()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	go s.watchHealth()
	return s, nil
}

func (s *Store) start() (err error) {
	if s.streams, err = listen(s.options.Address, s.options.TLS); err != nil {
		return err
	}
	s.peers = &peers{dial: s.streams.dial}
	logger := logger(s.options.Log)
	// A lock that is still held means that another process has this directory: it does not go away by waiting.
	bolt := &bbolt.Options{Timeout: 5 * time.Second, NoFreelistSync: true}
	path := filepath.Join(s.options.Dir, "log.db")
	if s.logs, err = boltdb.New(boltdb.Options{Path: path, BoltOptions: bolt}); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(s.options.Dir, 2, logger)
	if err != nil {
		return err
	}
	s.network = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: s.streams, MaxPool: 3, Timeout: 5 * time.Second, Logger: logger,
	})
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(s.options.ID)
	config.Logger = logger
	config.HeartbeatTimeout = s.options.Heartbeat
	config.ElectionTimeout = s.options.Heartbeat * 5 / 4
	config.LeaderLeaseTimeout = s.options.Heartbeat * 3 / 4
	// An idle leader sends its commit index this often to everyone: each is a TLS record on an emulated processor.
	config.CommitTimeout = 150 * time.Millisecond
	config.SnapshotThreshold, config.TrailingLogs = s.options.Compact, s.options.Compact/2
	config.SnapshotInterval = 10 * time.Second
	if err := s.bootstrap(config, snapshots); err != nil {
		return err
	}
	if s.raft, err = raft.NewRaft(config, s.machine, s.logs, s.logs, snapshots, s.network); err != nil {
		return err
	}
	go s.streams.serve(s.ctx, s.answer)
	return nil
}

func (s *Store) bootstrap(config *raft.Config, snapshots raft.SnapshotStore) error {
	if !s.options.Bootstrap {
		return nil
	}
	exists, err := raft.HasExistingState(s.logs, s.logs, snapshots)
	if err != nil || exists {
		return err
	}
	alone := raft.Configuration{Servers: []raft.Server{
		{ID: config.LocalID, Address: raft.ServerAddress(s.options.Address)},
	}}
	return raft.BootstrapCluster(config, s.logs, s.logs, snapshots, s.network, alone)
}

// Close ends this member; what it holds stays in its directory.
func (s *Store) Close() error {
	s.stop()
	var problems []error
	if s.raft != nil {
		problems = append(problems, s.raft.Shutdown().Error())
	}
	if s.network != nil {
		problems = append(problems, s.network.Close())
	}
	if s.streams != nil {
		if err := s.streams.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			problems = append(problems, err)
		}
	}
	if s.peers != nil {
		s.peers.close()
	}
	if s.logs != nil {
		problems = append(problems, s.logs.Close())
	}
	return errors.Join(problems...)
}

// Get returns an object.
func (s *Store) Get(key Key) (Object, error) {
	s.machine.mutex.RLock()
	defer s.machine.mutex.RUnlock()
	if object := s.machine.objects[kind{key.Group, key.Resource}][key]; object != nil {
		return object, nil
	}
	return nil, ErrNotFound
}

// List returns a resource's objects of one namespace, or of all for "", by namespace and name; and the revision at
// which a watch goes on from there.
func (s *Store) List(group, resource, namespace string) ([]Object, uint64) {
	s.machine.mutex.RLock()
	defer s.machine.mutex.RUnlock()
	return s.machine.list(kind{group, resource}, namespace), s.machine.revision
}

// Revision returns the newest revision that this member knows.
func (s *Store) Revision() uint64 {
	s.machine.mutex.RLock()
	defer s.machine.mutex.RUnlock()
	return s.machine.revision
}

// WaitRevision waits until this member knows a revision.
func (s *Store) WaitRevision(ctx context.Context, revision uint64) error {
	for {
		s.machine.mutex.RLock()
		now, advanced := s.machine.revision, s.machine.advanced
		s.machine.mutex.RUnlock()
		if now >= revision {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-advanced:
		}
	}
}

// Create adds an object; it gets a uid and a creation time. ErrExists comes with the object that is there.
func (s *Store) Create(ctx context.Context, key Key, object Object) (Object, error) {
	object = Clone(object)
	metadata := Metadata(object)
	metadata["uid"] = newUID()
	metadata["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
	return s.propose(ctx, command{Verb: "create", Key: key, Object: object})
}

// Update replaces an object; with a revision other than 0 only the one at that revision. ErrConflict comes with what is
// there instead. An update that changes nothing is none.
func (s *Store) Update(ctx context.Context, key Key, object Object, revision uint64) (Object, error) {
	return s.propose(ctx, command{Verb: "update", Key: key, Object: Clone(object), Expect: revision})
}

// Delete removes an object; with a revision other than 0 or a uid, only that one. It returns the object as it was last.
func (s *Store) Delete(ctx context.Context, key Key, revision uint64, uid string) (Object, error) {
	return s.propose(ctx, command{Verb: "delete", Key: key, Expect: revision, UID: uid})
}

func newUID() string {
	var bytes [16]byte
	rand.Read(bytes[:])
	bytes[6], bytes[8] = bytes[6]&0x0f|0x40, bytes[8]&0x3f|0x80
	text := hex.EncodeToString(bytes[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
