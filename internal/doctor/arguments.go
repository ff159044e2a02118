// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"libpam-net/internal/mount"
	"libpam-net/internal/policy"
	"libpam-net/internal/session"
	"libpam-net/internal/setup"
	"libpam-net/internal/view"
	"libpam-net/pam"
)

// checkArguments finds arguments that the modules ignore, and setup programs and masks that they refuse.
func checkArguments(e *examination) {
	for _, r := range e.lines {
		f := Finding{Evidence: []string{r.Line.String()}}
		if len(r.Complaints) > 0 {
			ignored := f
			var problems []string
			for _, c := range r.Complaints {
				problems = append(problems, fmt.Sprintf("%q, %s", c.Argument, c.Problem))
			}
			ignored.Diff = e.replaced([]policy.Rule{r}, func(r policy.Rule) (string, []string) {
				return r.Line.Control, slices.DeleteFunc(slices.Clone(r.Line.Args), func(arg string) bool {
					return slices.ContainsFunc(r.Complaints, func(c pam.Complaint) bool { return c.Argument == arg })
				})
			})
			e.report(lineArgument, ignored, "module", r.Name, "arguments", strings.Join(problems, "; "))
		}
		for _, path := range r.Request.Masks {
			path = filepath.Clean(path)
			err := view.CheckMask(e.Root, path)
			untrusted := (*mount.UntrustedError)(nil)
			if !errors.As(err, &untrusted) {
				continue
			}
			refused := f
			refused.Diff = e.replaced([]policy.Rule{r}, func(r policy.Rule) (string, []string) {
				args := slices.Clone(r.Line.Args)
				for i, arg := range args {
					if value, ok := strings.CutPrefix(arg, "mask="); ok && filepath.Clean(value) == path {
						args[i] = "mask=" + untrusted.Path
					}
				}
				return r.Line.Control, args
			})
			e.report(lineMask, refused, "module", r.Name, "error", err.Error())
		}
		if r.Request.Setup == nil {
			continue
		}
		if err := setup.Check(e.Root, *r.Request.Setup); err != nil {
			f.Remedy = "chown root: " + quote(*r.Request.Setup) + " && chmod 755 " + quote(*r.Request.Setup)
			e.report(lineSetup, f, "module", r.Name, "error", err.Error())
		}
	}
}

// checkDifferences finds lines for one group with different arguments.
func checkDifferences(e *examination) {
	for _, c := range e.concerns {
		if len(c.members) == 0 && c.complete {
			continue
		}
		lines := e.linesOf(c.Module)
		f := Finding{}
		for _, r := range lines {
			f.Evidence = append(f.Evidence, r.Line.String())
		}
		name := strings.TrimPrefix(c.Name, "pam_")
		if some := notInAll(lines, networkArguments); len(some) > 0 {
			effect := "The first login to a network creates it, by the line of its service. Later logins join it as it is."
			if c.Kind == session.NewNet {
				effect = "The network of a login depends on its service."
			}
			e.report(lineDiffers, f, "module", c.Name, "name", name, "arguments", list(some), "effect", effect)
		}
		if some := notInAll(lines, viewArguments); len(some) > 0 {
			e.report(lineViewDiffers, f, "module", c.Name, "name", name, "arguments", list(some),
				"effect", "What a session sees of the host depends on the service of its login.")
		}
	}
}

// notInAll returns the arguments that some of the lines have, and others lack.
func notInAll(lines []policy.Rule, of func(session.Request) []string) (arguments []string) {
	count := map[string]int{}
	for _, r := range lines {
		all := of(r.Request)
		slices.Sort(all)
		for _, argument := range slices.Compact(all) {
			count[argument]++
		}
	}
	for _, argument := range slices.Sorted(maps.Keys(count)) {
		if count[argument] < len(lines) {
			arguments = append(arguments, argument)
		}
	}
	return arguments
}

// networkArguments returns the arguments that a network is created by.
func networkArguments(r session.Request) (arguments []string) {
	if r.Setup != nil {
		arguments = append(arguments, "setup="+*r.Setup)
	}
	if r.SelfManaged {
		arguments = append(arguments, "selfmanaged")
	}
	if r.LoDown {
		arguments = append(arguments, "lodown")
	}
	return arguments
}

// viewArguments returns the arguments that decide what a session sees of the host.
func viewArguments(r session.Request) (arguments []string) {
	for _, flag := range []struct {
		on   bool
		name string
	}{{r.RootShared, "rootshared"}, {r.ShowNetns, "shownetns"}, {r.KeepResolver, "keepresolver"}} {
		if flag.on {
			arguments = append(arguments, flag.name)
		}
	}
	for _, path := range r.Masks {
		arguments = append(arguments, "mask="+filepath.Clean(path))
	}
	return arguments
}

// covers returns whether a line covers a path with mask=.
func covers(r policy.Rule, file string) bool {
	return slices.ContainsFunc(r.Request.Masks, func(mask string) bool {
		if mask = filepath.Clean(mask); strings.HasPrefix(mask+"/", "/var/run/") { // a link to /run
			mask = strings.TrimPrefix(mask, "/var")
		}
		return mask == file || strings.HasPrefix(file, strings.TrimSuffix(mask, "/")+"/")
	})
}
