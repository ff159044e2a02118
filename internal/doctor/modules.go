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

	"libpam-net/internal/policy"
)

// machines are the processors in ELF files, by Go's names.
var machines = map[string]elf.Machine{
	"386": elf.EM_386, "amd64": elf.EM_X86_64, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64, "loong64": elf.EM_LOONGARCH,
	"ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390,
}

// moduleDir returns the directory of libpam's modules: that of pam_permit.so, for this processor; "" if there
// is none.
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

// checkModules finds modules that are missing, that others than root can replace, or that were not built with
// make.
func checkModules(e *examination) {
	dir := e.moduleDir()
	if dir == "" {
		e.report(moduleDir, Finding{Evidence: []string{"/usr/lib"}})
		e.unknown(moduleMissing, moduleOwner, moduleLogin)
		return
	}
	var missing, present []string
	for _, m := range policy.Modules {
		file := path.Join(dir, m.Name+".so")
		st := e.stat(file)
		if st == nil {
			missing = append(missing, file)
			continue
		}
		present = append(present, file)
		e.checkBuild(file)
		for _, p := range []string{file, dir} {
			e.checkOwner(p)
		}
	}
	if e.Run != nil && len(present) > 0 {
		output, err := e.Run("ldd", present...)
		if !errors.Is(err, exec.ErrNotFound) && len(e.findings) == 0 && (err != nil || strings.Contains(output, "not found")) {
			e.report(moduleLoad, Finding{Evidence: present}, "files", list(present),
				"problem", plural(len(present), "needs", "need")+" libraries that are missing")
		}
	}
	if len(missing) > 0 {
		e.report(moduleMissing, Finding{Evidence: []string{dir}}, "files", list(missing), "are", plural(len(missing), "is", "are"))
	}
}

// checkOwner finds a file or directory that others than root can replace.
func (e *examination) checkOwner(file string) {
	st := e.stat(file)
	if st.Uid == 0 && st.Mode&0o022 == 0 {
		return
	}
	e.report(moduleOwner, Finding{Evidence: []string{file}, Remedy: rootAlone(file)},
		"file", file, "uid", fmt.Sprint(st.Uid), "mode", fmt.Sprintf("%#o", st.Mode&0o7777))
}

// rootAlone is a command that makes files root's alone.
func rootAlone(files ...string) string {
	names := ""
	for _, file := range files {
		names += " " + quote(file)
	}
	return "chown root:" + names + " && chmod go-w" + names
}

// checkBuild finds a module that was not built as build/module/README.md has it.
func (e *examination) checkBuild(file string) {
	evidence := Finding{Evidence: []string{file}}
	f, err := elf.Open(e.path(file))
	if err != nil {
		e.report(moduleLoad, evidence, "files", file, "problem", "is no shared object")
		return
	}
	defer f.Close()
	if f.Machine != machines[runtime.GOARCH] {
		e.report(moduleLoad, evidence, "files", file, "problem", "is for another processor")
		return
	}
	good := f.Section(".pamnet.go.relro") != nil
	if !good {
		e.report(moduleStart, evidence, "file", file)
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
		e.report(moduleSymbols, evidence, "file", file, "symbols", some(exported), "expected", list(want))
		good = false
	}
	if len(e.listing.Failed) > 0 {
		e.unknown(moduleLogin) // a login would fail, and not because of the module
	} else if good && e.TryModule != nil {
		if err := e.TryModule(e.path(file)); err != nil {
			e.report(moduleLogin, evidence, "file", file, "problem", err.Error())
		}
	}
}
