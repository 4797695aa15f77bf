package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// How long a member without a leader still calls itself ready: longer than any election takes.
const leaderless = 20 * time.Second

// How long a read waits for the leader's word.
const moment = 500 * time.Millisecond

// errFinal marks what does not change by asking again.
var errFinal = errors.New("refused")

// Member is a member of the store as its configuration has it.
type Member struct {
	ID      string `json:"id"`
	Address string `json:"address,omitempty"`
	// Voter is false while a new member still catches up.
	Voter bool `json:"voter,omitempty"`
}

// health holds times with their monotonic part: nodes set their clocks while this runs.
type health struct {
	current atomic.Bool
	led     atomic.Pointer[time.Time]
}

// Members returns the members as this one knows them.
func (s *Store) Members() []Member {
	future := s.raft.GetConfiguration()
	if future.Error() != nil {
		return nil
	}
	var found []Member
	for _, server := range future.Configuration().Servers {
		found = append(found, Member{string(server.ID), string(server.Address), server.Suffrage == raft.Voter})
	}
	return found
}

// Leader returns the leader's ID, "" while none is known.
func (s *Store) Leader() string {
	_, id := s.raft.LeaderWithID()
	return string(id)
}

// IsLeader tells whether this member leads, as far as it knows.
func (s *Store) IsLeader() bool {
	return s.raft.State() == raft.Leader
}

// AddMember takes a member in, from any member. The new one must run already: it gets its vote when it has caught up, so
// that the others can decide without it until then. A member that is there is left as it is.
func (s *Store) AddMember(ctx context.Context, id, address string) error {
	return s.atLeader(ctx, question{Verb: "add", Member: Member{ID: id, Address: address}})
}

// RemoveMember takes a member out, from any member; a leader that goes hands over first. One that is not there is fine.
func (s *Store) RemoveMember(ctx context.Context, id string) error {
	return s.atLeader(ctx, question{Verb: "remove", Member: Member{ID: id}})
}

func (s *Store) atLeader(ctx context.Context, asked question) error {
	var refused error
	err := s.withLeader(ctx, func(ctx context.Context, leader string) error {
		told, err := s.ask(ctx, leader, asked)
		if told.Final {
			refused, err = err, nil
		}
		return err
	})
	return errors.Join(err, refused)
}

func (s *Store) ask(ctx context.Context, address string, asked question) (reply, error) {
	if address != s.options.Address {
		return s.peers.ask(ctx, address, asked)
	}
	told := s.answer(ctx, asked)
	if told.Problem != "" {
		return told, errors.New(told.Problem)
	}
	return told, nil
}

func (s *Store) addHere(ctx context.Context, member Member) error {
	for _, known := range s.Members() {
		if known.ID == member.ID && known.Address == member.Address && known.Voter {
			return nil
		}
		if known.ID == member.ID && known.Address != member.Address {
			return fmt.Errorf("%w: member %s is at %s: remove it first", errFinal, known.ID, known.Address)
		}
	}
	if _, err := s.peers.ask(ctx, member.Address, question{Verb: "revision"}); err != nil {
		return fmt.Errorf("member %s at %s does not answer: %w", member.ID, member.Address, err)
	}
	id, address := raft.ServerID(member.ID), raft.ServerAddress(member.Address)
	if err := s.raft.AddNonvoter(id, address, 0, 5*time.Second).Error(); err != nil {
		return err
	}
	goal := s.Revision()
	for {
		told, err := s.peers.ask(ctx, member.Address, question{Verb: "revision"})
		if err == nil && told.Revision >= goal {
			return s.raft.AddVoter(id, address, 0, 5*time.Second).Error()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("member %s has not caught up (at revision %d of %d)", member.ID, told.Revision, goal)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Store) removeHere(id string) error {
	members := s.Members()
	present, voters := false, 0
	for _, known := range members {
		present = present || known.ID == id
		if known.Voter {
			voters++
		}
	}
	if !present {
		return nil
	}
	if id == s.options.ID {
		if voters == 1 {
			return fmt.Errorf("%w: member %s is the last one", errFinal, id)
		}
		if err := s.raft.LeadershipTransfer().Error(); err != nil {
			return err
		}
		return errors.New("the leadership was handed over: ask the new leader")
	}
	return s.raft.RemoveServer(raft.ServerID(id), 0, 5*time.Second).Error()
}

// WaitReady waits until a leader is known and this member has everything that was committed before.
func (s *Store) WaitReady(ctx context.Context) error {
	last := errors.New("no leader is known")
	for {
		if leader, _ := s.raft.LeaderWithID(); leader != "" {
			if last = s.catchUp(ctx, string(leader)); last == nil {
				s.health.seen()
				s.health.current.Store(true)
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), last)
		case <-s.ctx.Done():
			return ErrClosed
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *Store) catchUp(ctx context.Context, leader string) error {
	ctx, cancel := context.WithTimeout(ctx, 6*time.Second)
	defer cancel()
	if leader == s.options.Address {
		_, err := s.revisionAsMember()
		return err
	}
	told, err := s.peers.ask(ctx, leader, question{Verb: "revision"})
	if err != nil {
		return err
	}
	return s.WaitRevision(ctx, told.Revision)
}

// Follow waits until this member has what the leader has acknowledged, so that clients read what they wrote through
// another member. A leader that does not answer at once is not waited for: reads are of what is here then.
func (s *Store) Follow(ctx context.Context) {
	leader, _ := s.raft.LeaderWithID()
	if leader == "" || s.IsLeader() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	told, err := s.peers.ask(ctx, string(leader), question{Verb: "acknowledged"})
	if err != nil {
		return
	}
	if err := s.WaitRevision(ctx, told.Revision); err != nil {
		s.options.Log("revision %d is not here within %s", told.Revision, moment)
	}
}

// Current tells whether this member has known everything once since it was opened. Until then its reads are of the past,
// or of nothing: what lies on its disk counts only after a leader has said how much of it does.
func (s *Store) Current() bool {
	return s.health.current.Load()
}

// Ready tells whether this member was current once and has not been without a leader for long since.
func (s *Store) Ready() bool {
	led := s.health.led.Load()
	return led != nil && s.health.current.Load() && time.Since(*led) < leaderless
}

func (h *health) seen() {
	now := time.Now()
	h.led.Store(&now)
}

func (s *Store) watchHealth() {
	if s.WaitReady(s.ctx) != nil {
		return
	}
	for {
		if leader, _ := s.raft.LeaderWithID(); leader != "" {
			s.health.seen()
		}
		s.promote()
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// promote goes on with what a leader that was lost began: a new member that has no vote yet.
func (s *Store) promote() {
	if !s.IsLeader() {
		return
	}
	for _, member := range s.Members() {
		if !member.Voter {
			ctx, cancel := context.WithTimeout(s.ctx, time.Second)
			_ = s.addHere(ctx, member) // it may be down: the next round tries again
			cancel()
		}
	}
}
