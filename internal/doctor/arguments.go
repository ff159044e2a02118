// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"libpam-net/internal/mount"
	"libpam-net/internal/policy"
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

// covers returns whether a line covers a path with mask=.
func covers(r policy.Rule, file string) bool {
	return slices.ContainsFunc(r.Request.Masks, func(mask string) bool {
		mask = strings.TrimPrefix(filepath.Clean(mask), "/var") // /var/run is /run
		return mask == file || strings.HasPrefix(file, strings.TrimSuffix(mask, "/")+"/")
	})
}
