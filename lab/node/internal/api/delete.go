package api

import (
	"errors"
	"net/http"

	"okd-libvirt/lab/node/internal/store"
)

func (s *Server) delete(w http.ResponseWriter, r *http.Request, asked request) *Status {
	options, status := deleteOptions(r)
	if status != nil {
		return status
	}
	removed, status := s.drop(r, asked.resource, asked.namespace, asked.name, options)
	if status != nil {
		return status
	}
	if len(items(removed, "metadata", "finalizers")) > 0 {
		send(w, http.StatusOK, shapeOf(r).one(asked.resource, removed))
		return nil
	}
	done := success().about(asked.resource, asked.name)
	done.Details["uid"] = text(removed, "metadata", "uid")
	send(w, http.StatusOK, done)
	return nil
}

func (s *Server) deleteAll(w http.ResponseWriter, r *http.Request, asked request) *Status {
	options, status := deleteOptions(r)
	if status != nil {
		return status
	}
	chosen, status := selectorOf(asked.query, "")
	if status != nil {
		return status
	}
	objects, _ := s.selected(asked, chosen)
	for _, object := range objects {
		namespace, name := text(object, "metadata", "namespace"), text(object, "metadata", "name")
		if _, status := s.drop(r, asked.resource, namespace, name, options); status != nil && status.Code != http.StatusNotFound {
			return status
		}
	}
	send(w, http.StatusOK, shapeOf(r).many(asked.resource, objects, s.store.Revision()))
	return nil
}

// drop deletes one object, or marks it when finalizers hold it; with a namespace goes what is in it.
func (s *Server) drop(r *http.Request, of Resource, namespace, name string, options store.Object) (store.Object, *Status) {
	key := of.key(namespace, name)
	for attempt := 1; ; attempt++ {
		current, err := s.store.Get(key)
		if err != nil {
			return nil, notFound(of, name)
		}
		wanted, revision := at(options, "preconditions"), store.Revision(current)
		if uid := text(wanted, "uid"); uid != "" && uid != text(current, "metadata", "uid") ||
			text(wanted, "resourceVersion") != "" && text(wanted, "resourceVersion") != text(current, "metadata", "resourceVersion") {
			return nil, refusal(store.ErrConflict, of, name)
		}
		if dry(r) || len(items(options, "dryRun")) > 0 {
			return current, nil
		}
		removed := current
		if len(items(current, "metadata", "finalizers")) == 0 {
			removed, err = s.store.Delete(r.Context(), key, revision, "")
		} else if text(current, "metadata", "deletionTimestamp") == "" {
			removed = store.Clone(current)
			store.Metadata(removed)["deletionTimestamp"] = now()
			removed, err = s.store.Update(r.Context(), key, removed, revision)
		}
		if errors.Is(err, store.ErrConflict) && attempt < attempts {
			continue
		}
		if err != nil {
			return nil, refusal(err, of, name)
		}
		if of.Group == "" && of.Plural == "namespaces" {
			return removed, s.empty(r, name, options)
		}
		return removed, nil
	}
}

func (s *Server) empty(r *http.Request, namespace string, options store.Object) *Status {
	delete(options, "preconditions")
	for _, of := range s.types() {
		if !of.Namespaced {
			continue
		}
		objects, _ := s.store.List(of.Group, of.Plural, namespace)
		for _, object := range objects {
			if _, status := s.drop(r, of, namespace, text(object, "metadata", "name"), options); status != nil {
				return status
			}
		}
	}
	return nil
}

func deleteOptions(r *http.Request) (store.Object, *Status) {
	data, status := body(r)
	if status != nil || len(data) == 0 {
		return store.Object{}, status
	}
	return parsed(data)
}
