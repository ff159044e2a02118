package sandbox

import (
	"debug/elf"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
)

// PAM writes the whole file of a service in /etc/pam.d.
func (s *Sandbox) PAM(service string, rules ...string) error {
	return s.WriteFile("/etc/pam.d/"+service, lines(rules), 0o644)
}

// AppendPAM adds lines to the end of the file of a service, which must exist and end in a newline.
func (s *Sandbox) AppendPAM(service string, rules ...string) error {
	return s.AppendFile("/etc/pam.d/"+service, lines(rules))
}

// ModuleDir returns the directory in which Linux-PAM, on this machine, finds modules that a service names without a
// path. Inside it is the same.
func ModuleDir() (string, error) {
	self, err := machineOf("/proc/self/exe")
	if err != nil {
		return "", err
	}
	for _, pattern := range []string{"/usr/lib/*/security", "/usr/lib*/security", "/lib/*/security", "/lib*/security"} {
		modules, err := filepath.Glob(pattern + "/pam_permit.so")
		if err != nil {
			return "", err
		}
		// On a machine for two architectures, those for the other one are there as well.
		i := slices.IndexFunc(modules, func(module string) bool {
			machine, err := machineOf(module)
			return err == nil && machine == self
		})
		if i >= 0 {
			return path.Dir(modules[i]), nil
		}
	}
	return "", errors.New("find the directory of PAM modules: no pam_permit.so below /usr/lib and /lib")
}

// machineOf returns the processor that an ELF file is for.
func machineOf(file string) (elf.Machine, error) {
	f, err := elf.Open(file)
	if err != nil {
		return 0, fmt.Errorf("read ELF file %s: %w", file, err)
	}
	defer f.Close()
	return f.Machine, nil
}
