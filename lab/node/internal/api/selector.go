package api

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"okd-libvirt/lab/node/internal/store"
)

// selector tells whether an object is asked for.
type selector []func(store.Object) bool

func (s selector) matches(object store.Object) bool {
	for _, each := range s {
		if !each(object) {
			return false
		}
	}
	return true
}

// selectorOf reads labelSelector and fieldSelector of a query; a name is one more field.
func selectorOf(query url.Values, name string) (selector, *Status) {
	var found selector
	if name != "" {
		found = append(found, field("metadata.name", name, true))
	}
	for _, term := range split(query.Get("fieldSelector")) {
		path, value, equal, ok := comparison(term)
		if !ok {
			return nil, badRequest("invalid field selector %q", term)
		}
		found = append(found, field(path, value, equal))
	}
	for _, term := range split(query.Get("labelSelector")) {
		each, err := label(term)
		if err != nil {
			return nil, badRequest("unable to parse requirement: %v", err)
		}
		found = append(found, each)
	}
	return found, nil
}

// split cuts at commas that are in no parentheses.
func split(terms string) []string {
	var found []string
	depth, start := 0, 0
	for index, letter := range terms {
		switch letter {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				found, start = append(found, terms[start:index]), index+1
			}
		}
	}
	return slices.DeleteFunc(append(found, terms[start:]), func(term string) bool { return strings.TrimSpace(term) == "" })
}

func comparison(term string) (name, value string, equal, ok bool) {
	for _, operator := range []string{"!=", "==", "="} {
		if name, value, ok := strings.Cut(term, operator); ok {
			return strings.TrimSpace(name), strings.TrimSpace(value), operator != "!=", true
		}
	}
	return "", "", false, false
}

func field(path, value string, equal bool) func(store.Object) bool {
	words := strings.Split(path, ".")
	return func(object store.Object) bool {
		found := at(object, words...)
		if found == nil {
			// spec.unschedulable=false asks for those that do not say.
			return (value == "" || value == "false") == equal
		}
		return (fmt.Sprint(found) == value) == equal
	}
}

var setBased = regexp.MustCompile(`^(\S+)\s+(in|notin)\s+\(([^()]*)\)$`)

func label(term string) (func(store.Object) bool, error) {
	term = strings.TrimSpace(term)
	if found := setBased.FindStringSubmatch(term); found != nil {
		var values []string
		for value := range strings.SplitSeq(found[3], ",") {
			values = append(values, strings.TrimSpace(value))
		}
		return func(object store.Object) bool {
			value, ok := labels(object)[found[1]].(string)
			return (ok && slices.Contains(values, value)) == (found[2] == "in")
		}, nil
	}
	if name, value, equal, ok := comparison(term); ok {
		return func(object store.Object) bool {
			found, ok := labels(object)[name].(string)
			return (ok && found == value) == equal
		}, nil
	}
	name, absent := strings.CutPrefix(term, "!")
	if name = strings.TrimSpace(name); name == "" || strings.ContainsAny(name, " ()") {
		return nil, fmt.Errorf("%q", term)
	}
	return func(object store.Object) bool {
		_, ok := labels(object)[name]
		return ok != absent
	}, nil
}

// labelSelector reads metav1.LabelSelector, as disruption budgets have it. Without terms it selects everything.
func labelSelector(value any) selector {
	var found selector
	wanted, _ := at(value, "matchLabels").(map[string]any)
	for name, value := range wanted {
		found = append(found, func(object store.Object) bool { return labels(object)[name] == value })
	}
	for _, each := range items(value, "matchExpressions") {
		name, operator, values := text(each, "key"), text(each, "operator"), items(each, "values")
		found = append(found, func(object store.Object) bool {
			value, present := labels(object)[name]
			switch operator {
			case "In":
				return present && slices.Contains(values, value)
			case "NotIn":
				return !present || !slices.Contains(values, value)
			case "Exists":
				return present
			}
			return !present
		})
	}
	return found
}
