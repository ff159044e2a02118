// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/invopop/jsonschema"

	"libpam-net/internal/doctor"
	"libpam-net/internal/journal"
	"libpam-net/internal/netns"
	"libpam-net/internal/sessions"
	"libpam-net/internal/trial"
)

// The schemas of what --json prints are made from the types that are printed; with
// UPDATE=1 they are written.
func TestSchema(t *testing.T) {
	t.Parallel()
	const path = "../../docs/pamnetctl.schema.json"
	// Further fields may come.
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true, AllowAdditionalProperties: true}
	commands := jsonschema.Definitions{}
	for command, printed := range map[string]any{
		"check":                checked{},
		"check --all-members":  []trial.Report{},
		"check --all-services": matrix{},
		"doctor":               []doctor.Finding{},
		"explain":              explained{},
		"list":                 []sessions.Session{},
		"log":                  []journal.Line{},
		"mine":                 []sessions.OwnNetwork{},
		"prune":                []netns.Pruned{},
		"status":               status{},
		"status (of a user)":   place{},
	} {
		schema := r.Reflect(printed)
		schema.Version = ""
		commands["pamnetctl "+command] = schema
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	err := e.Encode(jsonschema.Schema{
		Version:     jsonschema.Version,
		Title:       "What the commands of pamnetctl print with --json, each in the definition of its name",
		Definitions: commands,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := b.String()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s is not what is printed (%v): UPDATE=1 writes it anew", path, err)
	}
}
