package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"okd-libvirt/lab/node/internal/store"
)

// How long a watch lasts whose client sets no limit, and how often one that asked for it is told how far it is.
const (
	watchLimit     = 45 * time.Minute
	bookmarkPeriod = 30 * time.Second
)

// stream is one watch's answer.
type stream struct {
	asked     request
	chosen    selector
	shape     *shape
	encoder   *json.Encoder
	flush     func() error
	bookmarks bool
}

func (s *Server) watch(w http.ResponseWriter, r *http.Request, asked request) *Status {
	chosen, status := selectorOf(asked.query, asked.name)
	if status == nil {
		status = s.await(r.Context(), asked)
	}
	if status != nil {
		return status
	}
	if asked.query.Get("sendInitialEvents") == "true" {
		// Clients that may ask for it take this answer as "list first, then".
		return invalid(asked.resource, "", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless "+
			"the WatchList feature gate is enabled")
	}
	after, _ := revisionOf(asked)
	var present []store.Object
	if after == 0 {
		present, after = s.selected(asked, chosen)
	}
	source := s.store.Watch(asked.resource.Group, asked.resource.Plural, after)
	first, err := source.Pending()
	if errors.Is(err, store.ErrExpired) {
		return failure(http.StatusGone, "Expired", "too old resource version: %d (%d)", after, s.store.Revision())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	answer := &stream{asked: asked, chosen: chosen, shape: shapeOf(r), encoder: json.NewEncoder(w),
		flush: http.NewResponseController(w).Flush, bookmarks: asked.query.Get("allowWatchBookmarks") == "true"}
	ctx, cancel := context.WithTimeout(r.Context(), limitOf(asked))
	defer cancel()
	go func() {
		select {
		case <-s.ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	answer.run(ctx, source, present, first)
	return nil
}

func limitOf(asked request) time.Duration {
	seconds, err := strconv.Atoi(asked.query.Get("timeoutSeconds"))
	if err != nil || seconds <= 0 {
		return watchLimit
	}
	return time.Duration(seconds) * time.Second
}

// run tells events until the context ends, the client is gone, or the history is lost.
func (s *stream) run(ctx context.Context, source *store.Watch, present []store.Object, events []store.Event) {
	for _, object := range present {
		if s.tell(store.Added, object) != nil {
			return
		}
	}
	for {
		for _, event := range events {
			if kind := s.kindOf(event); kind != "" && s.tell(kind, event.Object) != nil {
				return
			}
		}
		if s.flush() != nil {
			return
		}
		waiting, cancel := context.WithTimeout(ctx, bookmarkPeriod)
		var err error
		events, err = source.Next(waiting)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, store.ErrExpired):
			_ = s.encoder.Encode(map[string]any{"type": "ERROR", "object": refusal(err, s.asked.resource, "")})
			return
		case err != nil && s.bookmarks:
			if s.mark(source.Seen()) != nil {
				return
			}
		}
	}
}

// kindOf returns what an event is to this watch: an object that comes to be selected is new to it.
func (s *stream) kindOf(event store.Event) string {
	if s.asked.namespace != "" && event.Key.Namespace != s.asked.namespace {
		return ""
	}
	before := event.Previous != nil && s.chosen.matches(event.Previous)
	after := event.Type != store.Deleted && s.chosen.matches(event.Object)
	switch {
	case before && after:
		return store.Modified
	case after:
		return store.Added
	case before:
		return store.Deleted
	}
	return ""
}

func (s *stream) tell(kind string, object store.Object) error {
	return s.encoder.Encode(map[string]any{"type": kind, "object": s.shape.one(s.asked.resource, object)})
}

func (s *stream) mark(revision uint64) error {
	of := s.asked.resource
	object := store.Object{"kind": of.Kind, "apiVersion": of.groupVersion(),
		"metadata": map[string]any{"resourceVersion": strconv.FormatUint(revision, 10)}}
	if s.shape.as == "Table" {
		object["kind"], object["apiVersion"] = "Table", "meta.k8s.io/v1"
	}
	return s.encoder.Encode(map[string]any{"type": "BOOKMARK", "object": object})
}
