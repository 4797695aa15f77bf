package api

import (
	"fmt"
	"time"

	"okd-libvirt/lab/node/internal/store"
)

// column is one column of a table: those of priority 1 are shown by `-o wide` only.
type column struct {
	name     string
	priority int
	cell     func(store.Object) any
}

// table returns metav1.Table. A watch's columns are sent once.
func (s *shape) table(of Resource, objects []store.Object, revision string) any {
	columns := columnsOf(of)
	result := map[string]any{"kind": "Table", "apiVersion": "meta.k8s.io/v1",
		"metadata": map[string]any{"resourceVersion": revision}, "columnDefinitions": []any{}}
	if !s.headed {
		result["columnDefinitions"] = definitions(columns)
		s.headed = true
	}
	rows := make([]any, len(objects))
	for index, object := range objects {
		cells := make([]any, len(columns))
		for place, each := range columns {
			cells[place] = each.cell(object)
		}
		row := map[string]any{"cells": cells}
		switch s.include {
		case "Object":
			row["object"] = versioned(of, object)
		case "None":
		default:
			row["object"] = partial(object)
		}
		rows[index] = row
	}
	result["rows"] = rows
	return result
}

func definitions(columns []column) []any {
	found := make([]any, len(columns))
	for index, each := range columns {
		format := ""
		if each.name == "Name" {
			format = "name"
		}
		found[index] = map[string]any{"name": each.name, "type": "string", "format": format, "description": "",
			"priority": each.priority}
	}
	return found
}

func age(object store.Object) any {
	return since(text(object, "metadata", "creationTimestamp"))
}

// since tells how long ago a time was, in the form and the roughness that kubectl has.
func since(timestamp string) string {
	when, err := time.Parse(time.RFC3339, timestamp)
	if err != nil {
		return "<unknown>"
	}
	return roughly(time.Since(when))
}

func roughly(passed time.Duration) string {
	seconds := max(int(passed.Seconds()), 0)
	minutes, hours := seconds/60, seconds/3600
	switch {
	case seconds < 120:
		return fmt.Sprintf("%ds", seconds)
	case minutes < 10:
		return pair(minutes, "m", seconds%60, "s")
	case hours < 3:
		return fmt.Sprintf("%dm", minutes)
	case hours < 8:
		return pair(hours, "h", minutes%60, "m")
	case hours < 48:
		return fmt.Sprintf("%dh", hours)
	case hours < 192:
		return pair(hours/24, "d", hours%24, "h")
	case hours < 24*365*2:
		return fmt.Sprintf("%dd", hours/24)
	}
	return pair(hours/24/365, "y", hours/24%365, "d")
}

func pair(large int, unit string, small int, smaller string) string {
	if small == 0 {
		return fmt.Sprintf("%d%s", large, unit)
	}
	return fmt.Sprintf("%d%s%d%s", large, unit, small, smaller)
}
