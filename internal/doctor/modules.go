// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"debug/elf"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
)

// machines are the processors that Go names so, as ELF files do.
var machines = map[string]elf.Machine{
	"386": elf.EM_386, "amd64": elf.EM_X86_64, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64, "loong64": elf.EM_LOONGARCH,
	"ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390,
}

// moduleDir returns where libpam looks for modules: where pam_permit.so lies, for
// this processor. "" if there is none.
func (m Machine) moduleDir() string {
	for _, pattern := range []string{"/usr/lib/*/security", "/usr/lib64/security", "/usr/lib/security", "/lib/*/security", "/lib64/security", "/lib/security"} {
		for _, file := range m.glob(pattern + "/pam_permit.so") {
			if f, err := elf.Open(m.path(file)); err == nil {
				f.Close()
				if f.Machine == machines[runtime.GOARCH] {
					return path.Dir(file)
				}
			}
		}
	}
	return ""
}

// checkModules finds modules that are not there, that others than root could
// replace, or that were not built as they have to be.
func checkModules(e *examination) {
	const makeInstall = "make install    # in the source of libpam-net"
	dir := e.moduleDir()
	if dir == "" {
		e.found(Finding{
			Severity: Error, ID: "module-dir",
			What:        "There is no pam_permit.so in the usual places, so it is not known where libpam looks for modules.",
			Evidence:    []string{"/usr/lib"},
			Consequence: "The modules cannot be looked at.",
			Remedy:      "apt-get install libpam-modules || dnf install pam",
		})
		return
	}
	var missing, present []string
	for _, c := range modules {
		file := path.Join(dir, c.module+".so")
		st := e.stat(file)
		if st == nil {
			missing = append(missing, file)
			continue
		}
		present = append(present, file)
		for _, f := range e.flaws(file) {
			e.found(Finding{
				Severity: Error, ID: f.id, What: fmt.Sprintf("%s %s.", file, f.what), Evidence: []string{file},
				Consequence: f.consequence, Remedy: makeInstall,
			})
		}
		for _, p := range []string{file, dir} {
			e.checkOwner(p)
		}
	}
	if e.Run != nil && len(present) > 0 {
		output, err := e.Run("ldd", present...)
		if !errors.Is(err, exec.ErrNotFound) && len(e.findings) == 0 && (err != nil || strings.Contains(output, "not found")) {
			e.found(Finding{
				Severity: Error, ID: "module-load", What: fmt.Sprintf("%s %s libraries that are not there.", list(present), plural(len(present), "needs", "need")),
				Evidence: present, Consequence: "Whoever comes to a line of theirs is refused.", Remedy: makeInstall,
			})
		}
	}
	if len(missing) > 0 {
		e.found(Finding{
			Severity: Error, ID: "module-missing",
			What:        fmt.Sprintf("%s %s not installed.", list(missing), plural(len(missing), "is", "are")),
			Evidence:    []string{dir},
			Consequence: "A line that names a module which is not there refuses everybody, root included.",
			Remedy:      makeInstall,
		})
	}
}

// checkOwner finds what others than root can replace.
func (e *examination) checkOwner(file string) {
	st := e.stat(file)
	if st.Uid == 0 && st.Mode&0o022 == 0 {
		return
	}
	e.found(Finding{
		Severity: Error, ID: "module-owner",
		What:        fmt.Sprintf("%s belongs to uid %d and has mode %#o.", file, st.Uid, st.Mode&0o7777),
		Evidence:    []string{file},
		Consequence: "Others than root can put their code into every login.",
		Remedy:      fmt.Sprintf("chown root: %[1]s && chmod go-w %[1]s", quote(file)),
	})
}

type flaw struct{ id, what, consequence string }

// flaws looks at how a module was built: see build/module/README.md.
func (e *examination) flaws(file string) (flaws []flaw) {
	f, err := elf.Open(e.path(file))
	if err != nil {
		return []flaw{{"module-load", "is no shared object", "Whoever comes to its line is refused."}}
	}
	defer f.Close()
	if f.Machine != machines[runtime.GOARCH] {
		return []flaw{{"module-load", "is for another processor", "Whoever comes to its line is refused."}}
	}
	if f.Section(".pamnet.go.relro") == nil {
		flaws = append(flaws, flaw{
			"module-start", "starts Go when it is loaded",
			"Each login process gets Go's threads and signal handlers, and the module lets no member in.",
		})
	}
	symbols, err := f.DynamicSymbols()
	var exported []string
	for _, s := range symbols {
		if elf.ST_BIND(s.Info) == elf.STB_GLOBAL && s.Section != elf.SHN_UNDEF {
			exported = append(exported, s.Name)
		}
	}
	slices.Sort(exported)
	if want := []string{"pam_sm_close_session", "pam_sm_open_session"}; err != nil || !slices.Equal(exported, want) {
		flaws = append(flaws, flaw{
			"module-symbols", fmt.Sprintf("exports %s, not just %s", some(exported), list(want)),
			"It can get in the way of other modules.",
		})
	}
	if len(flaws) == 0 && e.TryModule != nil {
		if err := e.TryModule(e.path(file)); err != nil {
			flaws = append(flaws, flaw{"module-login", err.Error(), "Whoever comes to its line is refused or cut off, root and non-members perhaps included."})
		}
	}
	return flaws
}
