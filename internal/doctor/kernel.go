// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// checkKernel finds what the modules need of the kernel and do not have.
func checkKernel(e *examination) {
	const release = "/proc/sys/kernel/osrelease"
	version := e.read(release)
	selfmanaged, rootshared := "", ""
	for _, l := range e.lines {
		if l.selfmanaged {
			selfmanaged = l.String()
		}
		if l.rootshared {
			rootshared = l.String()
		}
	}
	old := func(severity Severity, what, consequence string) {
		e.found(Finding{
			Severity: severity, ID: "kernel-old",
			What:     fmt.Sprintf("This kernel is Linux %s, and %s.", version, what),
			Evidence: []string{release}, Consequence: consequence, Remedy: "apt-get upgrade || dnf upgrade    # and restart",
		})
	}
	switch {
	case version == "":
	case older(version, 4, 11):
		old(Error, "the modules need 4.11", "Members are refused.")
	case rootshared != "" && older(version, 5, 15):
		old(Error, "rootshared needs 5.15", "Members are refused where a line has it: "+rootshared+".")
	case older(version, 5, 2):
		old(Note, "lacks the mount API of 5.2", "What a session mounts away is covered, not gone: root can uncover it.")
	}
	missing := func(namespace, what string, evidence ...string) {
		if e.exists("/proc/self/ns") && !e.exists("/proc/self/ns/"+namespace) {
			e.found(Finding{
				Severity: Error, ID: "kernel-" + namespace,
				What:     fmt.Sprintf("This kernel has no %s namespaces.", what),
				Evidence: append(evidence, "/proc/self/ns"), Consequence: "Members are refused.",
				Remedy: "apt-get install linux-image-amd64 || dnf install kernel    # and restart",
			})
		}
	}
	missing("net", "network")
	limits := []string{"net"}
	if selfmanaged != "" {
		missing("user", "user", selfmanaged)
		limits = append(limits, "user")
	}
	checkUserNamespaces(e)
	for _, kind := range limits {
		e.checkLimit(kind)
	}
}

// restrictions are the parameters that keep unprivileged users from user namespaces, and
// their values that do.
var restrictions = []struct{ name, value string }{
	{"kernel.unprivileged_userns_clone", "0"},             // Debian's
	{"kernel.apparmor_restrict_unprivileged_userns", "1"}, // Ubuntu's
}

// checkUserNamespaces finds lines that hand out what the machine withholds: the owner of a
// network is the owner of a user namespace, with all capabilities in it. The modules make
// it as root, whom the parameters do not keep.
func checkUserNamespaces(e *examination) {
	for _, r := range restrictions {
		file := "/proc/sys/" + strings.ReplaceAll(r.name, ".", "/")
		if e.read(file) != r.value {
			continue
		}
		for _, l := range e.lines {
			if !l.selfmanaged {
				continue
			}
			e.found(Finding{
				Severity: Note, ID: "selfmanaged-userns",
				What:        fmt.Sprintf("Users may not make user namespaces here (%s=%s), and selfmanaged gives members one.", r.name, r.value),
				Evidence:    []string{file, l.String()},
				Consequence: "Members reach code of the kernel that the parameter keeps from users: mounts, nftables and more.",
				Remedy:      replace(l.Line, l.Control, slices.DeleteFunc(slices.Clone(l.Args), func(arg string) bool { return arg == "selfmanaged" })),
			})
		}
	}
}

// checkLimit finds a limit that leaves no room for the members' networks.
func (e *examination) checkLimit(kind string) {
	file := "/proc/sys/user/max_" + kind + "_namespaces"
	limit, err := strconv.Atoi(e.read(file))
	if need := len(e.allMembers()); err == nil && limit < max(need, 1) {
		f := Finding{
			Severity: Warning, ID: "kernel-limit",
			What:        fmt.Sprintf("There may be %d %s namespaces, and there are %d members.", limit, kind, need),
			Evidence:    []string{file},
			Consequence: "Members are refused when as many are in use.",
		}
		if limit == 0 {
			f.Severity = Error
			f.Consequence = "Members are refused."
		}
		setting := fmt.Sprintf("user.max_%s_namespaces=%d", kind, max(4*need, 4096))
		f.Remedy = fmt.Sprintf("echo %s >/etc/sysctl.d/60-pamnet-%s.conf && sysctl %s", setting, kind, setting)
		e.found(f)
	}
}

// older tells whether a kernel is older than a version.
func older(release string, major, minor int) bool {
	var n [2]int
	for i, word := range strings.SplitN(release, ".", 3)[:min(2, strings.Count(release, ".")+1)] {
		end := strings.IndexFunc(word, func(r rune) bool { return r < '0' || r > '9' })
		if end >= 0 {
			word = word[:end]
		}
		n[i], _ = strconv.Atoi(word)
	}
	return slices.Compare(n[:], []int{major, minor}) < 0
}
