package api

import (
	"context"
	"errors"
	"io"
	"net/http"

	"okd-libvirt/lab/node/internal/store"
)

// How often a change that names no revision is tried anew when another one came first.
const attempts = 8

func (s *Server) create(w http.ResponseWriter, r *http.Request, who user, asked request) *Status {
	object, status := decode(r, asked.resource)
	if status != nil {
		return status
	}
	switch {
	case asked.subresource == "eviction":
		return s.evict(w, r, asked, object)
	case asked.name != "":
		return failure(http.StatusMethodNotAllowed, "MethodNotAllowed", "the server does not allow this method on the requested resource")
	case asked.resource.Plural == "selfsubjectreviews" || asked.resource.Plural == "selfsubjectaccessreviews":
		return s.review(w, who, asked, object)
	case asked.resource.Namespaced && asked.namespace == "":
		return badRequest("an empty namespace may not be set during creation")
	}
	metadata := store.Metadata(object)
	if status := place(asked, metadata); status != nil {
		return status
	}
	delete(metadata, "deletionTimestamp")
	if asked.unknown {
		asked.resource.Kind = text(object, "kind")
		if status := s.bring(r.Context(), asked.resource); status != nil {
			return status
		}
	}
	if status := s.prepare(who, asked, nil, object); status != nil {
		return status
	}
	created, name, err := s.add(r, asked, object)
	if err != nil {
		return refusal(err, asked.resource, name)
	}
	if asked.is("certificatesigningrequests") {
		s.options.Log("%s %s: %s by %s", asked.resource.Plural, name, text(created, "spec", "signerName"), who.name)
	}
	send(w, http.StatusCreated, shapeOf(r).one(asked.resource, created))
	return nil
}

// add stores a new object; one whose name is to be generated gets another when the name is taken.
func (s *Server) add(r *http.Request, asked request, object store.Object) (store.Object, string, error) {
	metadata := store.Metadata(object)
	for attempt := 1; ; attempt++ {
		name, generated := text(metadata, "name"), text(metadata, "generateName")
		if generate := name == "" || attempt > 1; generate {
			name = generated + randomSuffix()
			metadata["name"] = name
		}
		key := asked.resource.key(asked.namespace, name)
		if dry(r) {
			if _, err := s.store.Get(key); err == nil {
				return nil, name, store.ErrExists
			}
			return object, name, nil
		}
		created, err := s.store.Create(r.Context(), key, object)
		if !errors.Is(err, store.ErrExists) || generated == "" || attempt == attempts {
			return created, name, err
		}
	}
}

func (s *Server) bring(ctx context.Context, of Resource) *Status {
	key, object := typeObject(of)
	if _, err := s.store.Create(ctx, key, object); err != nil && !errors.Is(err, store.ErrExists) {
		return refusal(err, of, "")
	}
	return nil
}

func (s *Server) replace(w http.ResponseWriter, r *http.Request, who user, asked request) *Status {
	object, status := decode(r, asked.resource)
	if status != nil {
		return status
	}
	if status := place(asked, store.Metadata(object)); status != nil {
		return status
	}
	return s.change(w, r, who, asked, func(store.Object) (store.Object, *Status) { return store.Clone(object), nil })
}

// change gives the present object to `edit` and stores what comes back, anew if another change came first. An edit whose
// result names a revision is meant for that one only.
func (s *Server) change(w http.ResponseWriter, r *http.Request, who user, asked request,
	edit func(store.Object) (store.Object, *Status)) *Status {
	key := asked.resource.key(asked.namespace, asked.name)
	for attempt := 1; ; attempt++ {
		current, err := s.store.Get(key)
		if err != nil {
			return notFound(asked.resource, asked.name)
		}
		candidate, status := edit(store.Clone(current))
		if status != nil {
			return status
		}
		if status := s.consider(who, asked, current, candidate); status != nil {
			return status
		}
		candidate = restricted(asked, current, candidate)
		if dry(r) {
			send(w, http.StatusOK, shapeOf(r).one(asked.resource, candidate))
			return nil
		}
		changed, err := s.commit(r.Context(), key, current, candidate)
		if errors.Is(err, store.ErrConflict) && attempt < attempts {
			continue
		}
		if err != nil {
			return refusal(err, asked.resource, asked.name)
		}
		if asked.subresource == "approval" {
			s.options.Log("%s %s: %v by %s", asked.resource.Plural, asked.name, requestCondition(changed), who.name)
		}
		send(w, http.StatusOK, shapeOf(r).one(asked.resource, changed))
		return nil
	}
}

// consider refuses what no change may do.
func (s *Server) consider(who user, asked request, current, candidate store.Object) *Status {
	metadata := store.Metadata(candidate)
	if status := place(asked, metadata); status != nil {
		return status
	}
	if revision := store.Revision(candidate); revision != 0 && revision != store.Revision(current) {
		return refusal(store.ErrConflict, asked.resource, asked.name)
	}
	if uid := text(metadata, "uid"); uid != "" && uid != text(current, "metadata", "uid") {
		return refusal(store.ErrConflict, asked.resource, asked.name)
	}
	if gone, ok := at(current, "metadata", "deletionTimestamp").(string); ok {
		metadata["deletionTimestamp"] = gone
	}
	return s.prepare(who, asked, current, candidate)
}

// commit stores a change; an object that waited to be deleted goes with its last finalizer.
func (s *Server) commit(ctx context.Context, key store.Key, current, candidate store.Object) (store.Object, error) {
	if text(candidate, "metadata", "deletionTimestamp") != "" && len(items(candidate, "metadata", "finalizers")) == 0 {
		return s.store.Delete(ctx, key, store.Revision(current), "")
	}
	return s.store.Update(ctx, key, candidate, store.Revision(current))
}

func body(r *http.Request) ([]byte, *Status) {
	data, err := io.ReadAll(io.LimitReader(r.Body, largest+1))
	if err != nil {
		return nil, badRequest("reading the request: %v", err)
	}
	if len(data) > largest {
		return nil, failure(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Request entity too large: limit is %d", largest)
	}
	return data, nil
}
