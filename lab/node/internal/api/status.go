package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"okd-libvirt/lab/node/internal/store"
)

// Status is metav1.Status: what a request failed with, or that it succeeded.
type Status struct {
	Kind       string         `json:"kind"`
	APIVersion string         `json:"apiVersion"`
	Metadata   map[string]any `json:"metadata"`
	Status     string         `json:"status"`
	Message    string         `json:"message,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	Details    map[string]any `json:"details,omitempty"`
	Code       int            `json:"code"`
}

func failure(code int, reason, format string, args ...any) *Status {
	return &Status{Kind: "Status", APIVersion: "v1", Metadata: map[string]any{}, Status: "Failure", Code: code,
		Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func success() *Status {
	return &Status{Kind: "Status", APIVersion: "v1", Metadata: map[string]any{}, Status: "Success", Code: http.StatusOK}
}

func (s *Status) about(of Resource, name string) *Status {
	s.Details = map[string]any{"name": name, "kind": of.Plural}
	if of.Group != "" {
		s.Details["group"] = of.Group
	}
	return s
}

func badRequest(format string, args ...any) *Status {
	return failure(http.StatusBadRequest, "BadRequest", format, args...)
}

func invalid(of Resource, name, format string, args ...any) *Status {
	why := fmt.Sprintf(format, args...)
	status := failure(http.StatusUnprocessableEntity, "Invalid", "%s %q is invalid: %s", of.qualifiedKind(), name, why)
	return status.about(of, name)
}

func unknownPath() *Status {
	return failure(http.StatusNotFound, "NotFound", "the server could not find the requested resource")
}

func notFound(of Resource, name string) *Status {
	return failure(http.StatusNotFound, "NotFound", "%s %q not found", of.qualified(), name).about(of, name)
}

// unavailable asks clients to try again.
func unavailable(why string) *Status {
	status := failure(http.StatusServiceUnavailable, "ServiceUnavailable", "%s", why)
	status.Details = map[string]any{"retryAfterSeconds": 1}
	return status
}

// refusal turns an error of the store into what clients expect.
func refusal(err error, of Resource, name string) *Status {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return notFound(of, name)
	case errors.Is(err, store.ErrExists):
		return failure(http.StatusConflict, "AlreadyExists", "%s %q already exists", of.qualified(), name).about(of, name)
	case errors.Is(err, store.ErrConflict):
		return failure(http.StatusConflict, "Conflict", "Operation cannot be fulfilled on %s %q: the object has been "+
			"modified; please apply your changes to the latest version and try again", of.qualified(), name).about(of, name)
	case errors.Is(err, store.ErrExpired):
		return failure(http.StatusGone, "Expired", "too old resource version")
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed):
		return unavailable(err.Error())
	}
	return failure(http.StatusInternalServerError, "InternalError", "Internal error occurred: %v", err)
}

func (s *Server) fail(w http.ResponseWriter, status *Status) {
	if status.Code >= http.StatusInternalServerError {
		s.options.Log("%s", status.Message)
	}
	if status.Code == http.StatusServiceUnavailable || status.Code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	send(w, status.Code, status)
}

func send(w http.ResponseWriter, code int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(data, '\n')) // a client that is gone needs no answer
}
