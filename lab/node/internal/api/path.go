package api

// Reading of decoded JSON: what is not there, or is something else, is the zero value.

func at(value any, path ...string) any {
	for _, name := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

func text(value any, path ...string) string {
	result, _ := at(value, path...).(string)
	return result
}

func number(value any, path ...string) int {
	result, _ := at(value, path...).(float64)
	return int(result)
}

func items(value any, path ...string) []any {
	result, _ := at(value, path...).([]any)
	return result
}

func labels(object any) map[string]any {
	result, _ := at(object, "metadata", "labels").(map[string]any)
	return result
}

// condition returns the condition of a type, nil if there is none.
func condition(object any, kind string) map[string]any {
	for _, each := range items(object, "status", "conditions") {
		if found, ok := each.(map[string]any); ok && found["type"] == kind {
			return found
		}
	}
	return nil
}
