// SPDX-License-Identifier: GPL-2.0-or-later

package doctor_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"libpam-net/internal/amend"
	"libpam-net/internal/doctor"
	"libpam-net/internal/pamstack"
	"libpam-net/internal/policy"
	"libpam-net/test/expect"
)

// trees is the number of generated machines, new ones each time; SEED=n makes one of them again.
var trees = flag.Int("doctor.trees", 0, "how many generated machines to correct; 0: 20, which are always the same")

// Whatever is wrong with a machine, Fix makes no login worse. The machines have many things wrong at once, in
// stacks with includes, substacks, jumps, comments and continued lines; every second one is a Debian with
// pam-auth-update's blocks.
func TestFixMakesNothingWorse(t *testing.T) {
	t.Parallel()
	seeds := make([]uint64, *trees)
	for i := range seeds {
		seeds[i] = rand.Uint64()
	}
	for seed := uint64(1); *trees == 0 && seed <= 20; seed++ {
		seeds = append(seeds, seed)
	}
	if seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seeds = []uint64{seed}
	}
	archive, err := txtar.ParseFile("../amend/testdata/debian.txtar")
	expect.Check(t, err)
	for _, seed := range seeds {
		t.Run(fmt.Sprint("SEED=", seed), func(t *testing.T) {
			t.Parallel()
			g := generator{rand.New(rand.NewPCG(seed, 0)), t, newMachine(t)}
			g.tree(archive)
			g.fixed()
		})
	}
}

// generator makes a machine on which much is wrong.
type generator struct {
	*rand.Rand
	t *testing.T
	m doctor.Machine
}

// one returns one of several texts.
func (g generator) one(texts ...string) string { return texts[g.IntN(len(texts))] }

func (g generator) sometimes(n int) bool { return g.IntN(n) == 0 }

func (g generator) tree(debian *txtar.Archive) {
	services := []string{"sshd", "login", "su", "sudo", "cron", "systemd-user", "atd", "lightdm", "lxdm", "thing", "other"}
	fragments := []string{"common-session", "common-session-noninteractive", "system-auth", "part"}
	isDebian := g.sometimes(2)
	if isDebian {
		for _, f := range debian.Files {
			write(g.t, g.m.Root, f.Name, string(f.Data))
		}
		g.block()
		fragments = fragments[2:]
		for _, name := range []string{"groupnet", "newnet", "usernet"} {
			write(g.t, g.m.Root, "/usr/share/pam-configs/libpam-net-"+name, "Default: no\n")
		}
	}
	for _, name := range fragments {
		write(g.t, g.m.Root, "/etc/pam.d/"+name, g.file(nil))
	}
	if isDebian {
		fragments = append(fragments, "common-session", "common-session-noninteractive")
	}
	for _, name := range services {
		switch {
		case isDebian && !g.sometimes(3):
			g.spoil("/etc/pam.d/" + name)
		case !g.sometimes(4):
			dir := g.one("/etc/pam.d/", "/etc/pam.d/", "/etc/pam.d/", "/usr/lib/pam.d/")
			expect.Check(g.t, os.RemoveAll(filepath.Join(g.m.Root, "/etc/pam.d", name)))
			write(g.t, g.m.Root, dir+name, g.file(fragments))
		}
	}
}

// block writes lines of the modules into pam-auth-update's block, with its notes.
func (g generator) block() {
	for _, kind := range []string{"session", "session-noninteractive"} {
		file, notes := "/etc/pam.d/common-"+kind, "/var/lib/pam/"+kind
		text, saved := g.read(file), g.read(notes)
		for _, name := range []string{"groupnet", "newnet", "usernet"} {
			if g.sometimes(2) {
				saved += fmt.Sprintf("Module: libpam-net-%s\nrequired\tpam_%[1]s.so\n", name)
				if !g.sometimes(5) {
					text = strings.Replace(text, "# end of", fmt.Sprintf("session\trequired\tpam_%s.so %s\n# end of", name, g.arguments()), 1)
				}
			}
		}
		if g.sometimes(3) {
			text = strings.Replace(text, "# here are", g.ours()+"# here are", 1)
		}
		if g.sometimes(3) {
			text += g.ours()
		}
		if g.sometimes(4) {
			text = strings.Replace(text, "# end of", g.one("# mine\n", g.ours(), "session optional pam_umask.so\n", "\n")+"# end of", 1)
		}
		write(g.t, g.m.Root, file, text)
		write(g.t, g.m.Root, notes, saved)
	}
}

func (g generator) read(file string) string {
	text, err := os.ReadFile(filepath.Join(g.m.Root, file))
	if err != nil {
		return ""
	}
	return string(text)
}

// spoil inserts lines of the modules into a file.
func (g generator) spoil(file string) {
	lines := strings.SplitAfter(g.read(file), "\n")
	for range g.IntN(3) {
		lines = slices.Insert(lines, g.IntN(len(lines)), g.ours())
	}
	write(g.t, g.m.Root, file, strings.Join(lines, ""))
}

// file returns the text of a service that may include others.
func (g generator) file(includes []string) string {
	var b strings.Builder
	for range 2 + g.IntN(9) {
		switch n := g.IntN(12); {
		case n < 3:
			b.WriteString(g.ours())
		case n < 5 && len(includes) > 0:
			b.WriteString(g.one("@include ", "session include ", "session substack ", "auth\tinclude ", "-session include  ") + g.one(includes...) + "\n")
		case n == 5:
			b.WriteString(g.one("\n", "# a comment\n", " \t\n", "#\n"))
		default:
			b.WriteString(g.line(g.one("auth", "account", "session", "session", "SESSION", "-session", "password"),
				g.one("unix", "permit", "limits", "systemd", "unix", "mount", "env"), g.one("", "", "debug", "[a b]")))
		}
	}
	text := b.String()
	if g.sometimes(5) {
		text = strings.TrimSuffix(text, "\n")
	}
	return text
}

// ours returns a line of the modules.
func (g generator) ours() string {
	kind := g.one("session", "session", "session", "session", "session", "session", "-session", "auth", "account")
	return g.line(kind, g.one("newnet", "usernet", "groupnet"), g.arguments())
}

func (g generator) arguments() string {
	return g.one("", "", "", "debug", "lodown", "lodwn", "mask=/run/docker.sock", "mask=/run/dbus debug", "group=newnett", "timeout=0")
}

// line returns a line, as somebody may write it.
func (g generator) line(kind, module, arguments string) string {
	control := g.one("required", "required", "required", "required", "requisite", "optional", "sufficient", "Required",
		"[success=ok default=die]", "[success=1 default=ignore]", "[default=1]", "[success=ok ignore=ignore default=bad]", "[success=done default=ignore]")
	between := func() string {
		return g.one(" ", " ", " ", "\t", "\t\t", "  ", " \\\n", " \\\n \t", " \\\n# no\n", " \\\n\n ")
	}
	return kind + between() + control + between() + "pam_" + module + ".so" + g.one("", " ", between()+arguments) + g.one("", "", " ", " # why", "\t#") + "\n"
}

// fixed runs Fix and looks at the result.
func (g generator) fixed() {
	before := g.policy()
	texts := map[string]string{}
	for _, dir := range []string{"/etc/pam.d", "/usr/lib/pam.d"} {
		entries, err := os.ReadDir(filepath.Join(g.m.Root, dir))
		expect.Check(g.t, err)
		for _, entry := range entries {
			texts[dir+"/"+entry.Name()] = g.read(dir + "/" + entry.Name())
		}
	}
	updatable := amend.New(g.m.Root).Updatable()

	tree := amend.New(g.m.Root)
	fixed, err := doctor.Fix(g.m, tree)
	expect.Check(g.t, err)
	staged, err := tree.Stage(fixed.Unused)
	expect.Check(g.t, err)
	_, err = staged.Commit()
	expect.Check(g.t, err)

	after := g.policy()
	g.compare(before, after)
	for file, text := range texts {
		g.kept(before, after, file, text)
	}
	again := amend.New(g.m.Root)
	_, err = doctor.Fix(g.m, again)
	expect.Check(g.t, err)
	expect.Equal(g.t, "what a second run changes", again.Diff(), "")
	if updatable {
		expect.Equal(g.t, "pam-auth-update could update the files", again.Updatable(), true)
		if g.sometimes(8) { // it is slow
			g.update()
			g.compare(before, g.policy())
		}
	}
	if g.t.Failed() {
		g.t.Logf("the changes were\n%s", tree.Diff())
	}
}

func (g generator) policy() *policy.Policy {
	p, err := policy.Load(g.m.Root, policy.Files(g.m.Root))
	expect.Check(g.t, err)
	return p
}

// compare looks at all stacks of all services.
func (g generator) compare(before, after *policy.Policy) {
	for _, service := range before.Stacks.Services() {
		for _, kind := range []string{pamstack.Auth, pamstack.Account, pamstack.Password} {
			expect.Equal(g.t, service+": "+kind, others(after.Stacks.Stack(service, kind)), others(before.Stacks.Stack(service, kind)))
		}
		for _, user := range []string{"alice", "bob", "carol", "olga", "root"} {
			was, is := before.Decide(service, user), after.Decide(service, user)
			if was.Outcome == policy.Isolated && is.Outcome != policy.Isolated || was.Outcome != policy.Refused && is.Outcome == policy.Refused {
				g.t.Errorf("%s through %s: was %s, and is %s %s", user, service, was.Outcome, is.Outcome, is.Why)
			}
		}
	}
}

// others returns the lines of other modules in a stack.
func others(stack []pamstack.Line) string {
	var b strings.Builder
	for _, l := range stack {
		if !isOurs(l) {
			fmt.Fprintf(&b, "%v %s %s %q\n", l.Silent, l.Control, l.Module, l.Args)
		}
	}
	return b.String()
}

func isOurs(l pamstack.Line) bool {
	return slices.ContainsFunc(policy.Modules, func(m policy.Module) bool { return l.Is(m.Name) })
}

// kept looks whether a file still has each line that is not of the modules, to the byte.
func (g generator) kept(before, after *policy.Policy, file, text string) {
	now := g.read(file)
	if strings.HasPrefix(file, "/usr/") {
		expect.Equal(g.t, file, now, text)
		return
	}
	left := written(after, file, now)
	for _, line := range written(before, file, text) {
		i := slices.Index(left, line)
		if i < 0 {
			g.t.Errorf("%s has lost %q", file, line)
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	for _, line := range left {
		if !strings.Contains(line, "pam_permit.so") {
			g.t.Errorf("%s has got %q", file, line)
		}
	}
}

// written returns the lines of a file without those of the modules.
func written(p *policy.Policy, file, text string) (lines []string) {
	if text != "" {
		lines = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	}
	ours := map[int]bool{}
	for _, service := range p.Stacks.Services() {
		for _, kind := range []string{pamstack.Auth, pamstack.Account, pamstack.Password, pamstack.Session} {
			for _, l := range p.Stacks.Stack(service, kind) {
				for n := l.Number; n <= l.Last && l.File == file && isOurs(l); n++ {
					ours[n-1] = !strings.HasPrefix(strings.TrimLeft(lines[n-1], " \t"), "#")
				}
			}
		}
	}
	n := -1
	return slices.DeleteFunc(lines, func(string) bool { n++; return ours[n] })
}

// update runs pam-auth-update, where there is one, on the machine.
func (g generator) update() {
	if _, err := exec.LookPath("pam-auth-update"); err != nil {
		return
	}
	dir := g.t.TempDir()
	cmd := exec.Command("unshare", "--mount", "sh", "-ec", `cp -a /var/cache/debconf "$1"
		mount --bind "$1/debconf" /var/cache/debconf
		cp -a /usr/share/pam-configs "$1"
		cp ../../build/pam-configs/* "$1/pam-configs"
		mount --bind "$1/pam-configs" /usr/share/pam-configs
		for d in /etc/pam.d /var/lib/pam; do mount --bind "$2$d" $d; done
		exec pam-auth-update --package`, "sh", dir, g.m.Root)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	output, err := cmd.CombinedOutput()
	expect.Check(g.t, err)
	expect.Equal(g.t, "what pam-auth-update says", string(output), "")
}
