// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"

	"libpam-net/internal/policy"
)

// checkKernel finds features that the modules or their lines need, and the kernel lacks.
func checkKernel(e *examination) {
	const release, namespaces = "/proc/sys/kernel/osrelease", "/proc/self/ns"
	version := e.read(release)
	selfmanaged, rootshared := "", ""
	for _, r := range e.lines {
		if r.Request.SelfManaged {
			selfmanaged = r.Line.String()
		}
		if r.Request.RootShared {
			rootshared = r.Line.String()
		}
	}
	f := Finding{Evidence: []string{release}}
	switch {
	case version == "":
	case older(version, 4, 11):
		e.report(kernelOld, f, "version", version, "feature", "each module", "needed", "4.11", "effect", "Members are refused.")
	case rootshared != "" && older(version, 5, 15):
		f.Evidence = append(f.Evidence, rootshared)
		e.report(kernelOld, f, "version", version, "feature", "rootshared", "needed", "5.15",
			"effect", "Members are refused by lines with rootshared.")
	case older(version, 5, 2):
		e.report(kernelMounts, f, "version", version)
	}
	lacks := func(kind string) bool { return e.exists(namespaces) && !e.exists(namespaces+"/"+kind) }
	if lacks("net") {
		e.report(kernelNet, Finding{Evidence: []string{namespaces}})
	}
	checkUserNamespaces(e)
	e.checkLimit("net")
	if selfmanaged == "" {
		return
	}
	if lacks("user") {
		e.report(kernelUser, Finding{Evidence: []string{selfmanaged, namespaces}})
	}
	e.checkLimit("user")
}

// restrictions are the parameters that keep unprivileged users from user namespaces, with the values that do.
var restrictions = []struct{ name, value string }{
	{"kernel.unprivileged_userns_clone", "0"},             // Debian's
	{"kernel.apparmor_restrict_unprivileged_userns", "1"}, // Ubuntu's
}

// checkUserNamespaces finds lines that hand out what the machine withholds: the owner of a network is the
// owner of a user namespace, with all capabilities in it. The modules create it as root, which the parameters
// do not restrict.
func checkUserNamespaces(e *examination) {
	for _, p := range restrictions {
		file := "/proc/sys/" + strings.ReplaceAll(p.name, ".", "/")
		if e.read(file) != p.value {
			continue
		}
		for _, r := range e.lines {
			if !r.Request.SelfManaged {
				continue
			}
			diff := e.replaced([]policy.Rule{r}, func(r policy.Rule) (string, []string) {
				return r.Line.Control, slices.DeleteFunc(slices.Clone(r.Line.Args), func(arg string) bool { return arg == "selfmanaged" })
			})
			e.report(userNamespaces, Finding{Evidence: []string{file, r.Line.String()}, Diff: diff}, "setting", p.name+"="+p.value)
		}
	}
}

// checkLimit finds a limit that is less than the members' networks need.
func (e *examination) checkLimit(kind string) {
	file := "/proc/sys/user/max_" + kind + "_namespaces"
	limit, err := strconv.Atoi(e.read(file))
	need := len(e.users)
	if err != nil || limit >= max(need, 1) {
		return
	}
	k := kernelLimit
	if limit == 0 {
		k = kernelForbids
	}
	f := Finding{Evidence: []string{file}, Remedy: setSysctl(fmt.Sprintf("user.max_%s_namespaces", kind), fmt.Sprint(max(4*need, 4096)), kind)}
	e.report(k, f, "file", file, "limit", fmt.Sprint(limit), "members", fmt.Sprint(need, plural(need, " member", " members")))
}

// setSysctl is a command that sets a parameter, now and at each boot.
func setSysctl(name, value, file string) string {
	return fmt.Sprintf("echo %[1]s=%[2]s >/etc/sysctl.d/60-pamnet-%[3]s.conf && sysctl %[1]s=%[2]s", name, value, file)
}

// uplinkModules are the modules of the kernel that pamnet-uplink needs.
var uplinkModules = []string{"veth", "nf_tables", "nft_ct", "nft_chain_nat"}

// checkUplinkModules finds modules that the kernel cannot load, where lines have pamnet-uplink. Without lists of its
// modules a kernel may have everything built in.
func checkUplinkModules(e *examination) {
	const disabled = "/proc/sys/kernel/modules_disabled"
	release := e.read("/proc/sys/kernel/osrelease")
	dir := "/lib/modules/" + release
	loaded, builtIn, loadable := "\n"+e.read("/proc/modules"), e.read(dir+"/modules.builtin"), e.read(dir+"/modules.dep")
	lines := e.uplinkLines()
	if release == "" || loadable == "" || len(lines) == 0 {
		return
	}
	var missing, locked []string
	for _, name := range uplinkModules {
		switch {
		case strings.Contains(loaded, "\n"+name+" "), strings.Contains(builtIn, "/"+name+".ko"):
		case !strings.Contains(loadable, "/"+name+".ko"):
			missing = append(missing, name)
		case e.read(disabled) == "1":
			locked = append(locked, name)
		}
	}
	place := lines[0].Line.String()
	if len(missing) > 0 {
		e.report(kernelUplink, Finding{Evidence: []string{dir, place}}, "version", release, "modules", list(missing))
	}
	if len(locked) > 0 {
		f := Finding{Evidence: []string{disabled, place}, Remedy: "printf '%s\\n' " + strings.Join(locked, " ") + " >/etc/modules-load.d/pamnet-uplink.conf"}
		e.report(kernelLocked, f, "modules", list(locked), "are", plural(len(locked), "is", "are"))
	}
}

// checkPropagation finds a machine whose mounts are private.
func checkPropagation(e *examination) {
	const file = "/proc/1/mountinfo"
	mounts, err := mountinfo.GetMountsFromReader(strings.NewReader(e.read(file)), mountinfo.SingleEntryFilter("/"))
	if err != nil || len(mounts) == 0 || strings.Contains(mounts[len(mounts)-1].Optional, "shared:") {
		return
	}
	e.report(mountsPrivate, Finding{Evidence: []string{file}})
}

// older returns whether a version is older than another one.
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
