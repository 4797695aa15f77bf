package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"okd-libvirt/lab/node/internal/store"
)

// How long a request waits for a revision that this member has not seen yet, as the real watch cache does.
const behind = 3 * time.Second

func (s *Server) get(w http.ResponseWriter, r *http.Request, who user, asked request) *Status {
	if asked.resource.Group == "user.openshift.io" && asked.name == "~" {
		send(w, http.StatusOK, userObject(who))
		return nil
	}
	if status := s.await(r.Context(), asked); status != nil {
		return status
	}
	object, err := s.store.Get(asked.resource.key(asked.namespace, asked.name))
	if err != nil {
		return notFound(asked.resource, asked.name)
	}
	shape := shapeOf(r)
	send(w, http.StatusOK, shape.one(asked.resource, object))
	return nil
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, asked request) *Status {
	chosen, status := selectorOf(asked.query, asked.name)
	if status == nil {
		status = s.await(r.Context(), asked)
	}
	if status != nil {
		return status
	}
	objects, revision := s.selected(asked, chosen)
	send(w, http.StatusOK, shapeOf(r).many(asked.resource, objects, revision))
	return nil
}

func (s *Server) selected(asked request, chosen selector) ([]store.Object, uint64) {
	objects, revision := s.store.List(asked.resource.Group, asked.resource.Plural, asked.namespace)
	found := make([]store.Object, 0, len(objects))
	for _, object := range objects {
		if chosen.matches(object) {
			found = append(found, object)
		}
	}
	return found, revision
}

// await waits until this member knows the revision that the client has seen elsewhere; one that names none reads what is
// newest, as far as the leader can be asked.
func (s *Server) await(ctx context.Context, asked request) *Status {
	if asked.query.Get("resourceVersion") == "" {
		s.store.Follow(ctx)
	}
	wanted, status := revisionOf(asked)
	if status != nil || wanted == 0 {
		return status
	}
	waiting, cancel := context.WithTimeout(ctx, behind)
	defer cancel()
	if s.store.WaitRevision(waiting, wanted) == nil {
		return nil
	}
	status = failure(http.StatusGatewayTimeout, "Timeout", "Too large resource version: %d, current: %d", wanted,
		s.store.Revision())
	status.Details = map[string]any{
		"retryAfterSeconds": 1,
		"causes":            []map[string]any{{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}},
	}
	return status
}

func revisionOf(asked request) (uint64, *Status) {
	given := asked.query.Get("resourceVersion")
	if given == "" {
		return 0, nil
	}
	wanted, err := strconv.ParseUint(given, 10, 64)
	if err != nil {
		return 0, badRequest("invalid resourceVersion %q", given)
	}
	return wanted, nil
}
