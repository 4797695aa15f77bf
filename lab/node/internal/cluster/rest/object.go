package rest

import (
	"encoding/json"
	"fmt"
	"time"
)

// Object is a Kubernetes object as JSON has it.
type Object = map[string]any

// Map returns the object at a path of fields; an empty one where there is none.
func Map(o Object, path ...string) Object {
	for _, name := range path {
		next, _ := o[name].(map[string]any)
		o = next
	}
	if o == nil {
		return Object{}
	}
	return o
}

// Text returns the string at a path of fields, "" where there is none.
func Text(o Object, path ...string) string {
	last := len(path) - 1
	found, _ := Map(o, path[:last]...)[path[last]].(string)
	return found
}

// True tells whether the field at a path is true.
func True(o Object, path ...string) bool {
	last := len(path) - 1
	found, _ := Map(o, path[:last]...)[path[last]].(bool)
	return found
}

// Items returns the objects of the list at a path of fields.
func Items(o Object, path ...string) []Object {
	last := len(path) - 1
	rows, _ := Map(o, path[:last]...)[path[last]].([]any)
	found := make([]Object, 0, len(rows))
	for _, row := range rows {
		if item, ok := row.(map[string]any); ok {
			found = append(found, item)
		}
	}
	return found
}

// Name returns metadata.name.
func Name(o Object) string { return Text(o, "metadata", "name") }

// Set puts a value at a path of fields, making what lies between.
func Set(o Object, value any, path ...string) {
	last := len(path) - 1
	for _, name := range path[:last] {
		next, ok := o[name].(map[string]any)
		if !ok {
			next = Object{}
			o[name] = next
		}
		o = next
	}
	o[path[last]] = value
}

// Condition returns the condition of a type below status, an empty object where there is none.
func Condition(o Object, kind string) Object {
	for _, row := range Items(o, "status", "conditions") {
		if Text(row, "type") == kind {
			return row
		}
	}
	return Object{}
}

// SetCondition puts a condition below status. lastTransitionTime moves with the status only. It tells whether anything
// changed.
func SetCondition(o Object, kind, status, reason, message string) bool {
	rows, _ := Map(o, "status")["conditions"].([]any)
	wanted := Object{"type": kind, "status": status, "reason": reason, "message": message}
	for i, row := range rows {
		old, _ := row.(map[string]any)
		if Text(old, "type") != kind {
			continue
		}
		if Text(old, "status") == status && Text(old, "reason") == reason && Text(old, "message") == message {
			return false
		}
		wanted["lastTransitionTime"] = old["lastTransitionTime"]
		if Text(old, "status") != status {
			wanted["lastTransitionTime"] = Now()
		}
		rows[i] = wanted
		return true
	}
	wanted["lastTransitionTime"] = Now()
	Set(o, append(rows, wanted), "status", "conditions")
	return true
}

// Now is the time as Kubernetes writes it.
func Now() string { return time.Now().UTC().Format(time.RFC3339) }

// Same tells whether two values are the same JSON.
func Same(a, b any) bool {
	one, err := json.Marshal(a)
	other, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(one) == string(other)
}

// Copy returns a deep copy.
func Copy(o Object) Object {
	text, err := json.Marshal(o)
	if err != nil {
		panic(fmt.Sprintf("an object that is no JSON: %v", err))
	}
	var found Object
	if err := json.Unmarshal(text, &found); err != nil {
		panic(fmt.Sprintf("an object that is no JSON: %v", err))
	}
	return found
}
