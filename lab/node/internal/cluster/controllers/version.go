package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

// Operators that are missing for longer than this are a failure, not work in progress.
const patience = 30 * time.Minute

// Desired returns the status of a ClusterVersion that has just begun to roll out a release.
func Desired(version, image string) rest.Object {
	return rest.Object{
		"desired":            rest.Object{"version": version, "image": image},
		"observedGeneration": 1,
		"versionHash":        "miniature",
		"availableUpdates":   nil,
		"history": []any{rest.Object{
			"state": "Partial", "version": version, "image": image, "verified": false,
			"startedTime": rest.Now(), "completionTime": nil,
		}},
	}
}

// progress keeps the ClusterVersion's conditions: it is Available when all operators are.
func (m *Manager) progress(ctx context.Context, now *snapshot) error {
	version := now.version
	desired := rest.Text(version, "status", "desired", "version")
	if desired == "" {
		return nil // The bootstrap has not got that far.
	}
	waiting := missing(now)
	done := len(operatorNames) - len(waiting)
	history := rest.Items(version, "status", "history")
	installed := len(history) > 0 && rest.Text(history[0], "state") == "Completed"
	changed := m.hold(version, desired, waiting, done, installed)
	if len(waiting) == 0 && len(history) > 0 && !installed {
		history[0]["state"], history[0]["completionTime"] = "Completed", rest.Now()
		rest.Set(version, history, "status", "history")
		log.Say("cluster-version-operator", "cluster version is %s", desired)
		changed = true
	}
	if !changed {
		return nil
	}
	_, err := m.API.Update(ctx, rest.Versions+"/version/status", version)
	return err
}

func (m *Manager) hold(version rest.Object, desired string, waiting []string, done int, installed bool) bool {
	all := len(operatorNames)
	names := strings.Join(waiting, ", ")
	available, progressing, failing := "Done applying "+desired, "Cluster version is "+desired, ""
	moving := len(waiting) > 0 && !installed
	if moving {
		available = ""
		progressing = fmt.Sprintf("Working towards %s: %d of %d done (%d%% complete), waiting on %s",
			desired, done, all, 100*done/all, names)
	}
	if len(waiting) > 0 && (installed || late(version)) {
		failing = "Cluster operators " + names + " are not available"
	}
	changed := rest.SetCondition(version, "Available", word(available != ""), "", available)
	changed = rest.SetCondition(version, "Failing", word(failing != ""), reason(failing, "ClusterOperatorsNotAvailable"), failing) || changed
	changed = rest.SetCondition(version, "Progressing", word(moving), "", progressing) || changed
	return rest.SetCondition(version, "RetrievedUpdates", "False", "NoChannel", "a miniature release has no updates") || changed
}

// late tells whether the installation takes too long.
func late(version rest.Object) bool {
	for _, entry := range rest.Items(version, "status", "history") {
		began, err := time.Parse(time.RFC3339, rest.Text(entry, "startedTime"))
		if err == nil && time.Since(began) > patience {
			return true
		}
	}
	return false
}
