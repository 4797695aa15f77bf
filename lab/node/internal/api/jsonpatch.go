package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"okd-libvirt/lab/node/internal/store"
)

// operation is one step of a JSON patch (RFC 6902).
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  string          `json:"from"`
	Value json.RawMessage `json:"value"`
}

func applyOperations(document store.Object, operations []operation) (store.Object, error) {
	var root any = document
	for _, each := range operations {
		var err error
		if root, err = each.apply(root); err != nil {
			return nil, fmt.Errorf("%s %s: %w", each.Op, each.Path, err)
		}
	}
	result, ok := root.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the patch leaves no object")
	}
	return result, nil
}

func (o operation) apply(root any) (any, error) {
	var value any
	if o.Value != nil {
		if err := json.Unmarshal(o.Value, &value); err != nil {
			return nil, err
		}
	}
	path := pointer(o.Path)
	switch o.Op {
	case "add", "replace", "test":
		if o.Value == nil {
			return nil, fmt.Errorf("value is missing")
		}
		if o.Op == "test" {
			found, err := lookUp(root, path)
			if err == nil && !reflect.DeepEqual(found, value) {
				err = fmt.Errorf("testing path failed")
			}
			return root, err
		}
		return edited(root, path, o.Op, value)
	case "remove":
		return edited(root, path, o.Op, nil)
	case "move", "copy":
		from := pointer(o.From)
		found, err := lookUp(root, from)
		if err != nil {
			return nil, err
		}
		if o.Op == "copy" {
			return edited(root, path, "add", clonedValue(found))
		}
		if root, err = edited(root, from, "remove", nil); err != nil {
			return nil, err
		}
		return edited(root, path, "add", found)
	}
	return nil, fmt.Errorf("unknown operation")
}

func clonedValue(value any) any {
	return store.Clone(store.Object{"value": value})["value"]
}

func pointer(path string) []string {
	if path == "" {
		return nil
	}
	words := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for index, word := range words {
		words[index] = strings.ReplaceAll(strings.ReplaceAll(word, "~1", "/"), "~0", "~")
	}
	return words
}

func lookUp(value any, path []string) (any, error) {
	for _, word := range path {
		switch container := value.(type) {
		case map[string]any:
			found, ok := container[word]
			if !ok {
				return nil, fmt.Errorf("%q is not there", word)
			}
			value = found
		case []any:
			index, err := strconv.Atoi(word)
			if err != nil || index < 0 || index >= len(container) {
				return nil, fmt.Errorf("no element %q", word)
			}
			value = container[index]
		default:
			return nil, fmt.Errorf("%q is in nothing", word)
		}
	}
	return value, nil
}

// edited returns the value with one place in it added, replaced or removed.
func edited(value any, path []string, op string, given any) (any, error) {
	if len(path) == 0 {
		return given, nil
	}
	switch container := value.(type) {
	case map[string]any:
		present, ok := container[path[0]]
		if len(path) > 1 {
			if !ok {
				return nil, fmt.Errorf("%q is not there", path[0])
			}
			inner, err := edited(present, path[1:], op, given)
			container[path[0]] = inner
			return container, err
		}
		if op != "add" && !ok {
			return nil, fmt.Errorf("%q is not there", path[0])
		}
		if op == "remove" {
			delete(container, path[0])
		} else {
			container[path[0]] = given
		}
		return container, nil
	case []any:
		return editedList(container, path, op, given)
	}
	return nil, fmt.Errorf("%q is in nothing", path[0])
}

func editedList(list []any, path []string, op string, given any) (any, error) {
	adding := len(path) == 1 && op == "add"
	if adding && path[0] == "-" {
		return append(slices.Clone(list), given), nil
	}
	index, err := strconv.Atoi(path[0])
	if err != nil || index < 0 || index > len(list) || index == len(list) && !adding {
		return nil, fmt.Errorf("no element %q", path[0])
	}
	result := slices.Clone(list)
	switch {
	case adding:
		return slices.Insert(result, index, given), nil
	case len(path) > 1:
		result[index], err = edited(result[index], path[1:], op, given)
		return result, err
	case op == "remove":
		return slices.Delete(result, index, index+1), nil
	}
	result[index] = given
	return result, nil
}
