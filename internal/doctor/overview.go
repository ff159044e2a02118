// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"slices"

	"libpam-net/internal/policy"
	"libpam-net/internal/session"
)

// Overview is what a machine has, whether it is wrong or not.
type Overview struct {
	ModuleDir string   // where libpam looks for modules, "" if that is unknown
	Missing   []string // the modules that are not there
	Services  []string // that open sessions
	Concerns  []Concern
	policy.Listing
}

// Concern is what a module does for the groups that its lines name.
type Concern struct {
	policy.Module
	Members  []session.Answer
	Complete bool     // there are no other members
	Open     []string // the services in which members stay in the host's network
}

// Survey returns an overview of a machine.
func Survey(m Machine) (Overview, error) {
	e, err := m.survey(m.oracle())
	if err != nil {
		return Overview{}, err
	}
	o := Overview{ModuleDir: e.moduleDir(), Listing: e.listing}
	for _, module := range policy.Modules {
		if o.ModuleDir == "" || !e.exists(o.ModuleDir+"/"+module.Name+".so") {
			o.Missing = append(o.Missing, module.Name)
		}
	}
	for _, s := range e.services {
		o.Services = append(o.Services, s.name)
	}
	for _, c := range e.concerns {
		o.Concerns = append(o.Concerns, Concern{c.Module, c.members, c.complete, e.without(c)})
	}
	return o, nil
}

// without returns the services that have no line for a group, or skip it.
func (e *examination) without(c concern) (services []string) {
	for _, s := range e.services {
		skipped := len(c.members) > 0 && slices.ContainsFunc(e.Decide(s.name, c.members[0].User).Holes(), func(h policy.Step) bool {
			return h.Module == c.Module
		})
		if skipped || !e.HasLine(s.name, c.Module) {
			services = append(services, s.name)
		}
	}
	return services
}
