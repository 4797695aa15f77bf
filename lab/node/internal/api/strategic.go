package api

import (
	"reflect"
	"slices"
	"strings"
)

// mergeKeys name what tells the elements of a list apart, by the list's field; the real server has them in its types.
var mergeKeys = map[string][]string{
	"conditions": {"type"}, "addresses": {"type"}, "containers": {"name"}, "initContainers": {"name"}, "env": {"name"},
	"volumes": {"name"}, "volumeMounts": {"mountPath"}, "volumeDevices": {"devicePath"}, "ports": {"containerPort", "port"},
	"imagePullSecrets": {"name"}, "secrets": {"name"}, "ownerReferences": {"uid"}, "hostAliases": {"ip"},
	"topologySpreadConstraints": {"topologyKey"},
}

// Lists of plain values that a patch adds to.
var addedTo = []string{"finalizers", "podCIDRs"}

// Fields whose value a patch replaces as a whole.
var replaced = []string{"nodeSelectorTerms"}

// strategic is a strategic merge patch: lists are merged by key, and directives are obeyed.
func strategic(name string, current, patch any) any {
	switch patch := patch.(type) {
	case map[string]any:
		return strategicObject(current, patch)
	case []any:
		present, _ := current.([]any)
		if slices.Contains(addedTo, name) {
			return union(present, patch)
		}
		if keys := mergeKeys[name]; keys != nil && !slices.Contains(replaced, name) && keyOf(keys, patch) != "" {
			return strategicList(keyOf(keys, patch), present, patch)
		}
		return patch
	}
	return patch
}

func strategicObject(current any, patch map[string]any) any {
	if patch["$patch"] == "replace" {
		delete(patch, "$patch")
		return patch
	}
	if patch["$patch"] == "delete" {
		return map[string]any{}
	}
	result, ok := current.(map[string]any)
	if !ok {
		result = map[string]any{}
	}
	if kept, ok := patch["$retainKeys"].([]any); ok {
		for name := range result {
			if !slices.Contains(kept, any(name)) {
				delete(result, name)
			}
		}
	}
	for name, value := range patch {
		if list, ok := strings.CutPrefix(name, "$deleteFromPrimitiveList/"); ok {
			gone, _ := value.([]any)
			present, _ := result[list].([]any)
			result[list] = slices.DeleteFunc(slices.Clone(present), func(item any) bool { return slices.Contains(gone, item) })
		}
	}
	for name, value := range patch {
		switch {
		case strings.HasPrefix(name, "$"):
		case value == nil:
			delete(result, name)
		default:
			result[name] = strategic(name, result[name], value)
		}
	}
	return result
}

// keyOf returns the first key that every element of the patch has.
func keyOf(keys []string, patch []any) string {
	for _, key := range keys {
		if !slices.ContainsFunc(patch, func(item any) bool { return at(item, key) == nil && at(item, "$patch") != "replace" }) {
			return key
		}
	}
	return ""
}

func strategicList(key string, present, patch []any) any {
	for _, item := range patch {
		if at(item, "$patch") == "replace" && at(item, key) == nil {
			return slices.DeleteFunc(slices.Clone(patch), func(item any) bool { return at(item, "$patch") == "replace" })
		}
	}
	result := slices.Clone(present)
	for _, item := range patch {
		place := slices.IndexFunc(result, func(found any) bool { return reflect.DeepEqual(at(found, key), at(item, key)) })
		switch {
		case at(item, "$patch") == "delete":
			if place >= 0 {
				result = slices.Delete(result, place, place+1)
			}
		case place >= 0:
			result[place] = strategic("", result[place], item)
		default:
			result = append(result, strategic("", nil, item))
		}
	}
	return result
}

func union(present, added []any) []any {
	result := slices.Clone(present)
	for _, item := range added {
		if !slices.ContainsFunc(result, func(found any) bool { return reflect.DeepEqual(found, item) }) {
			result = append(result, item)
		}
	}
	return result
}
