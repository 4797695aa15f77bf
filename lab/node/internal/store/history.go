package store

import "context"

// Events that are kept of every resource, for watches that begin in the past: every machine's heartbeats of some minutes.
const kept = 256

// Event types, as watches name them.
const (
	Added    = "ADDED"
	Modified = "MODIFIED"
	Deleted  = "DELETED"
)

// Event is one change. Previous is the object before it, nil for a new one.
type Event struct {
	Type     string
	Key      Key
	Object   Object
	Previous Object
	Revision uint64
}

// history holds a resource's latest events. forgotten is the newest revision that a watch can no longer begin before.
type history struct {
	events    []Event
	forgotten uint64
	changed   chan struct{}
}

func newHistory(forgotten uint64) *history {
	return &history{forgotten: forgotten, changed: make(chan struct{})}
}

func (h *history) add(event Event) {
	h.events = append(h.events, event)
	if len(h.events) > 2*kept {
		surplus := len(h.events) - kept
		h.forgotten = h.events[surplus-1].Revision
		h.events = append([]Event(nil), h.events[surplus:]...)
	}
	h.wake()
}

func (h *history) forget(revision uint64) {
	h.events, h.forgotten = nil, revision
	h.wake()
}

func (h *history) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// after returns the events newer than a revision.
func (h *history) after(revision uint64) ([]Event, error) {
	if revision < h.forgotten {
		return nil, ErrExpired
	}
	first := len(h.events)
	for first > 0 && h.events[first-1].Revision > revision {
		first--
	}
	return h.events[first:len(h.events):len(h.events)], nil
}

// Watch follows one resource of a group, in all namespaces.
type Watch struct {
	machine *machine
	of      kind
	seen    uint64
}

// Watch begins after a revision; Next tells whether that is still known.
func (s *Store) Watch(group, resource string, after uint64) *Watch {
	return &Watch{machine: s.machine, of: kind{group, resource}, seen: after}
}

// Pending returns the events that are there already, in order. It fails with ErrExpired when some are forgotten.
func (w *Watch) Pending() ([]Event, error) {
	events, _, err := w.take()
	return events, err
}

// Next waits for events and returns them in order. It fails with ErrExpired, or when the context ends.
func (w *Watch) Next(ctx context.Context) ([]Event, error) {
	for {
		events, changed, err := w.take()
		if err != nil || len(events) > 0 {
			return events, err
		}
		select {
		case <-ctx.Done():
			// Other resources went on meanwhile.
			if events, _, err = w.take(); err != nil || len(events) > 0 {
				return events, err
			}
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

func (w *Watch) take() ([]Event, <-chan struct{}, error) {
	w.machine.mutex.Lock()
	defer w.machine.mutex.Unlock()
	history := w.machine.historyOf(w.of)
	events, err := history.after(w.seen)
	if err != nil {
		return nil, nil, err
	}
	// A watch that is ahead of this member (it began at another) must not go back.
	w.seen = max(w.seen, w.machine.revision)
	return events, history.changed, nil
}

// Seen returns the revision up to which this watch has told everything.
func (w *Watch) Seen() uint64 {
	return w.seen
}
