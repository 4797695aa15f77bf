package store

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"sort"
	"strconv"
	"sync"

	"github.com/hashicorp/raft"
)

// Outcomes that are remembered, so that a write repeated after its leader was lost is not applied twice.
const remembered = 256

// command is one write, as it lies in the log: the same on every member, so it carries all that is not.
type command struct {
	ID     string `json:"id"`
	Verb   string `json:"verb"`
	Key    Key    `json:"key"`
	Object Object `json:"object,omitempty"`
	Expect uint64 `json:"expect,omitempty"`
	UID    string `json:"uid,omitempty"`
}

// outcome is what a write led to.
type outcome struct {
	ID       string `json:"id,omitempty"`
	Revision uint64 `json:"revision"`
	Code     string `json:"code,omitempty"`
	Object   Object `json:"object,omitempty"`
}

type entry struct {
	Key    Key    `json:"key"`
	Object Object `json:"object"`
}

type kind struct{ group, resource string }

// machine is the replicated state. Revisions are indices of the log: the same everywhere, and never used twice.
type machine struct {
	mutex    sync.RWMutex
	revision uint64
	objects  map[kind]map[Key]Object
	history  map[kind]*history
	oldest   uint64
	recent   []outcome
	advanced chan struct{}
}

func newMachine() *machine {
	return &machine{
		objects: map[kind]map[Key]Object{}, history: map[kind]*history{}, advanced: make(chan struct{}),
	}
}

func (m *machine) Apply(log *raft.Log) any {
	var order command
	if err := json.Unmarshal(log.Data, &order); err != nil {
		return outcome{Revision: log.Index, Code: "unreadable: " + err.Error()}
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	defer m.advance(log.Index)
	for _, known := range m.recent {
		if known.ID == order.ID {
			return known
		}
	}
	result := m.execute(order, log.Index)
	result.ID, result.Revision = order.ID, log.Index
	m.recent = append(m.recent, result)
	if len(m.recent) > remembered {
		m.recent = append([]outcome(nil), m.recent[len(m.recent)-remembered:]...)
	}
	return result
}

func (m *machine) advance(index uint64) {
	m.revision = index
	close(m.advanced)
	m.advanced = make(chan struct{})
}

func (m *machine) execute(order command, index uint64) outcome {
	of := kind{order.Key.Group, order.Key.Resource}
	previous := m.objects[of][order.Key]
	if order.Verb == "create" {
		if previous != nil {
			return outcome{Code: "exists", Object: previous}
		}
		Metadata(order.Object)["generation"] = float64(1)
		return m.put(of, order, nil, index)
	}
	if previous == nil {
		return outcome{Code: "not-found"}
	}
	if order.Expect != 0 && order.Expect != Revision(previous) ||
		order.UID != "" && order.UID != Metadata(previous)["uid"] {
		return outcome{Code: "conflict", Object: previous}
	}
	if order.Verb == "delete" {
		return m.remove(of, order.Key, previous, index)
	}
	return m.update(of, order, previous, index)
}

func (m *machine) update(of kind, order command, previous Object, index uint64) outcome {
	before, after := Metadata(previous), Metadata(order.Object)
	for _, fixed := range []string{"uid", "creationTimestamp", "generation", "resourceVersion"} {
		if value, ok := before[fixed]; ok {
			after[fixed] = value
		}
	}
	if reflect.DeepEqual(previous, order.Object) {
		return outcome{Object: previous}
	}
	if !reflect.DeepEqual(desired(previous), desired(order.Object)) {
		generation, _ := before["generation"].(float64)
		after["generation"] = generation + 1
	}
	return m.put(of, order, previous, index)
}

// desired is the part of an object that its generation counts.
func desired(object Object) Object {
	result := Object{}
	for name, value := range object {
		if name != "metadata" && name != "status" {
			result[name] = value
		}
	}
	return result
}

func (m *machine) put(of kind, order command, previous Object, index uint64) outcome {
	Metadata(order.Object)["resourceVersion"] = strconv.FormatUint(index, 10)
	if m.objects[of] == nil {
		m.objects[of] = map[Key]Object{}
	}
	m.objects[of][order.Key] = order.Object
	event := Event{Type: Modified, Key: order.Key, Object: order.Object, Previous: previous, Revision: index}
	if previous == nil {
		event.Type = Added
	}
	m.historyOf(of).add(event)
	return outcome{Object: order.Object}
}

func (m *machine) remove(of kind, key Key, previous Object, index uint64) outcome {
	last := Object{}
	for name, value := range previous {
		last[name] = value
	}
	last["metadata"] = cloned(Metadata(previous))
	Metadata(last)["resourceVersion"] = strconv.FormatUint(index, 10)
	delete(m.objects[of], key)
	m.historyOf(of).add(Event{Type: Deleted, Key: key, Object: last, Previous: previous, Revision: index})
	return outcome{Object: last}
}

func (m *machine) historyOf(of kind) *history {
	if m.history[of] == nil {
		m.history[of] = newHistory(m.oldest)
	}
	return m.history[of]
}

func (m *machine) list(of kind, namespace string) []Object {
	keys := make([]Key, 0, len(m.objects[of]))
	for key := range m.objects[of] {
		if namespace == "" || key.Namespace == namespace {
			keys = append(keys, key)
		}
	}
	sort.Slice(keys, func(left, right int) bool {
		if keys[left].Namespace != keys[right].Namespace {
			return keys[left].Namespace < keys[right].Namespace
		}
		return keys[left].Name < keys[right].Name
	})
	result := make([]Object, len(keys))
	for index, key := range keys {
		result[index] = m.objects[of][key]
	}
	return result
}

// image is the whole state, as snapshots keep it. What it refers to is never changed, only replaced.
type image struct {
	Revision uint64    `json:"revision"`
	Entries  []entry   `json:"entries"`
	Recent   []outcome `json:"recent"`
}

func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	m.mutex.RLock()
	defer m.mutex.RUnlock()
	taken := &image{Revision: m.revision, Recent: append([]outcome(nil), m.recent...)}
	for _, objects := range m.objects {
		for key, object := range objects {
			taken.Entries = append(taken.Entries, entry{key, object})
		}
	}
	return taken, nil
}

// Persist writes the snapshot to where raft wants it.
func (i *image) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode(i); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release has nothing to release.
func (i *image) Release() {}

func (m *machine) Restore(source io.ReadCloser) error {
	defer source.Close()
	var taken image
	if err := json.NewDecoder(source).Decode(&taken); err != nil {
		return err
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.objects = map[kind]map[Key]Object{}
	for _, item := range taken.Entries {
		of := kind{item.Key.Group, item.Key.Resource}
		if m.objects[of] == nil {
			m.objects[of] = map[Key]Object{}
		}
		m.objects[of][item.Key] = item.Object
	}
	for _, each := range m.history {
		each.forget(taken.Revision)
	}
	m.recent, m.oldest = taken.Recent, taken.Revision
	m.advance(taken.Revision)
	return nil
}
