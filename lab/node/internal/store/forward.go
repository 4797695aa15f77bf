package store

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// question is what one member asks another.
type question struct {
	Verb    string          `json:"verb"`
	Command json.RawMessage `json:"command,omitempty"`
	Member  Member          `json:"member,omitzero"`
}

type reply struct {
	Problem  string  `json:"problem,omitempty"`
	Outcome  outcome `json:"outcome,omitzero"`
	Revision uint64  `json:"revision,omitempty"`
	// Final tells that asking again does not help.
	Final bool `json:"final,omitempty"`
}

// propose has a write decided by the leader, whoever that is, and waits until this member knows it as well.
func (s *Store) propose(ctx context.Context, order command) (Object, error) {
	order.ID = newUID()
	data, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	var result outcome
	err = s.withLeader(ctx, func(ctx context.Context, leader string) error {
		told, err := s.ask(ctx, leader, question{Verb: "write", Command: data})
		result = told.Outcome
		return err
	})
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := s.WaitRevision(waiting, result.Revision); err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if result.Code == "" {
		return result.Object, nil
	}
	if known := codes[result.Code]; known != nil {
		return result.Object, known
	}
	return nil, errors.New(result.Code)
}

// withLeader tries until the leader has done it or the patience ends. What is tried must bear being done twice.
func (s *Store) withLeader(ctx context.Context, try func(context.Context, string) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.Patience)
	defer cancel()
	last := errors.New("no leader is known")
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		if leader, _ := s.raft.LeaderWithID(); leader != "" {
			if last = s.attempt(ctx, string(leader), try); last == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(ErrUnavailable, last)
		case <-s.ctx.Done():
			return ErrClosed
		case <-time.After(pause):
		}
	}
}

// attempt ends as soon as there is another leader: one without power answers nothing at all.
func (s *Store) attempt(ctx context.Context, leader string, try func(context.Context, string) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if now, _ := s.raft.LeaderWithID(); now != "" && string(now) != leader {
				cancel()
			}
			select {
			case <-ctx.Done():
			case <-time.After(250 * time.Millisecond):
			}
		}
	}()
	return try(ctx, leader)
}

// HandOver lets another member lead, if this one does. That none can yet is no error.
func (s *Store) HandOver() {
	if !s.IsLeader() {
		return
	}
	if err := s.raft.LeadershipTransfer().Error(); err != nil {
		s.options.Log("handing the leadership over: %v", err)
	}
}

func (s *Store) decide(data []byte) (outcome, error) {
	future := s.raft.Apply(data, 5*time.Second)
	if err := future.Error(); err != nil {
		return outcome{}, err
	}
	return future.Response().(outcome), nil
}

// answer is what this member replies to another.
func (s *Store) answer(ctx context.Context, asked question) reply {
	var told reply
	var err error
	switch asked.Verb {
	case "write":
		told.Outcome, err = s.decide(asked.Command)
	case "revision":
		told.Revision, err = s.revisionAsMember()
	case "acknowledged":
		told.Revision = s.Revision()
	case "add":
		err = s.addHere(ctx, asked.Member)
	case "remove":
		err = s.removeHere(asked.Member.ID)
	default:
		err = errors.New("unknown question " + asked.Verb)
	}
	if err != nil {
		told.Problem, told.Final = err.Error(), errors.Is(err, errFinal)
	}
	return told
}

// revisionAsMember returns this member's revision; the leader's includes everything that was ever committed.
func (s *Store) revisionAsMember() (uint64, error) {
	if s.raft.State() == raft.Leader {
		if err := s.raft.Barrier(5 * time.Second).Error(); err != nil {
			return 0, err
		}
	}
	return s.Revision(), nil
}

func converse(ctx context.Context, conn net.Conn, answer func(context.Context, question) reply) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	reader, writer := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var asked question
		if reader.Decode(&asked) != nil || writer.Encode(answer(ctx, asked)) != nil {
			return
		}
	}
}

// peers keeps connections to the other members, one question at a time on each.
type peers struct {
	dial  func(context.Context, string) (net.Conn, error)
	mutex sync.Mutex
	idle  map[string][]*line
}

type line struct {
	net.Conn
	reader *json.Decoder
}

func (p *peers) ask(ctx context.Context, address string, asked question) (reply, error) {
	connection, err := p.take(ctx, address)
	if err != nil {
		return reply{}, err
	}
	defer context.AfterFunc(ctx, func() { connection.Close() })()
	var told reply
	if err := json.NewEncoder(connection).Encode(asked); err != nil {
		connection.Close()
		return reply{}, err
	}
	if err := connection.reader.Decode(&told); err != nil {
		connection.Close()
		return reply{}, err
	}
	p.give(address, connection)
	if told.Problem != "" {
		return told, errors.New(told.Problem)
	}
	return told, nil
}

func (p *peers) take(ctx context.Context, address string) (*line, error) {
	p.mutex.Lock()
	if spare := p.idle[address]; len(spare) > 0 {
		connection := spare[len(spare)-1]
		p.idle[address] = spare[:len(spare)-1]
		p.mutex.Unlock()
		return connection, nil
	}
	p.mutex.Unlock()
	conn, err := p.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return &line{conn, json.NewDecoder(conn)}, nil
}

func (p *peers) give(address string, connection *line) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.idle == nil {
		p.idle = map[string][]*line{}
	}
	if len(p.idle[address]) >= 4 {
		connection.Close()
		return
	}
	p.idle[address] = append(p.idle[address], connection)
}

func (p *peers) close() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, spare := range p.idle {
		for _, connection := range spare {
			connection.Close()
		}
	}
	p.idle = nil
}
