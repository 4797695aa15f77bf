package api

import (
	"net/http"

	"okd-libvirt/lab/node/internal/store"
)

// evict deletes a pod, unless a disruption budget has none to give.
func (s *Server) evict(w http.ResponseWriter, r *http.Request, asked request, eviction store.Object) *Status {
	pod, err := s.store.Get(asked.resource.key(asked.namespace, asked.name))
	if err != nil {
		return notFound(asked.resource, asked.name)
	}
	budgets, _ := s.store.List("policy", "poddisruptionbudgets", asked.namespace)
	for _, budget := range budgets {
		if !labelSelector(at(budget, "spec", "selector")).matches(pod) || number(budget, "status", "disruptionsAllowed") > 0 {
			continue
		}
		refused := failure(http.StatusTooManyRequests, "TooManyRequests",
			"Cannot evict pod as it would violate the pod's disruption budget.")
		refused.Details = map[string]any{"causes": []map[string]any{{"reason": "DisruptionBudget",
			"message": "The disruption budget " + text(budget, "metadata", "name") + " allows no disruption now"}}}
		return refused
	}
	options, _ := eviction["deleteOptions"].(map[string]any)
	if options == nil {
		options = store.Object{}
	}
	if _, status := s.drop(r, asked.resource, asked.namespace, asked.name, options); status != nil {
		return status
	}
	done := success()
	done.Code = http.StatusCreated
	send(w, http.StatusCreated, done)
	return nil
}
