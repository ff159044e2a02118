// SPDX-License-Identifier: GPL-2.0-or-later

// Package toolchains builds the modules with other compilers, flags, linkers and releases of Go than usual: what
// `make build` makes lets users in, and what could not is refused with a sentence.
package toolchains

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

var full = flag.Bool("toolchains.full", false, "also what takes a build each: half an hour")

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

// root is that of the sources.
var root = filepath.Dir(machine.Out())

// build runs `make build` in a directory with sources, and returns where the modules are, and what make prints.
func build(t *testing.T, dir string, variables ...string) (out, output string, err error) {
	t.Helper()
	out = t.TempDir()
	cmd := exec.Command("make", append([]string{"-C", dir, "OUT=" + out, "build"}, variables...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") })
	for _, v := range variables {
		if strings.HasPrefix(v, "GOTOOLCHAIN=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	printed, err := cmd.CombinedOutput()
	return out, string(printed), err
}

// logins logs users of all kinds in by su, and judges each login by its network namespace.
func logins(t *testing.T, out string) {
	t.Helper()
	m, err := machine.NewFrom(out)
	expect.Check(t, err)
	m.EndWith(t)
	const su = "su $1 -c 'readlink /proc/self/ns/net'"
	host := m.Bash(t, "readlink /proc/self/ns/net")
	for user, name := range map[string]string{"root": "host", "olga": "host", "nina": "", "ulf": "ulf", "gina": "lab"} {
		got := m.Bash(t, su, user)
		switch name {
		case "host":
			expect.Equal(t, "network of "+user, got, host)
		case "":
			if got == host {
				t.Errorf("%s is in the host's network", user)
			}
		default:
			expect.Equal(t, "network of "+user, got, m.Bash(t, `stat -Lc 'net:[%i]' /run/netns/$1`, name))
		}
	}
}

func TestUsersLogInWhateverTheModulesAreBuiltWith(t *testing.T) {
	for what, variables := range map[string][]string{
		"--no-relax": {"LDFLAGS=-Wl,--no-relax"},
		"-O0":        {"CFLAGS=-O0 -g"},
		"LTO":        {"CFLAGS=-O2 -flto", "LDFLAGS=-flto"},
		"clang":      {"CC=clang"},
		"the flags of a distribution with packed relocations": {"LDFLAGS=-Wl,-O1,--sort-common,--as-needed,-z,relro,-z,now,-z,pack-relative-relocs"},
		"Go 1.25.0":  {"GOTOOLCHAIN=go1.25.0"},
		"Go 1.25.12": {"GOTOOLCHAIN=go1.25.12"},
		"Go 1.26.0":  {"GOTOOLCHAIN=go1.26.0"},
		"Go 1.27.4":  {"GOTOOLCHAIN=go1.27.4"},
	} {
		if !*full {
			continue
		}
		t.Run(what, func(t *testing.T) {
			out, output, err := build(t, root, variables...)
			if err != nil {
				t.Fatalf("make build: %v\n%s", err, output)
			}
			logins(t, out)
		})
	}
}

// copyOf makes a copy of the sources in which sed has changed files, given as a pattern of the shell.
func copyOf(t *testing.T, sed, files string) string {
	t.Helper()
	dir := t.TempDir()
	output, err := exec.Command("sh", "-ec", `
		tar -C "$1" -c --exclude=./.git --exclude=./out . | tar -C "$2" -x
		sed -i "$3" "$2"/$4
		! diff -r "$1/${4%/*}" "$2/${4%/*}" >/dev/null`, "sh", root, dir, sed, files).CombinedOutput()
	if err != nil {
		t.Fatalf("sed %q %s: %v\n%s", sed, files, err, output)
	}
	return dir
}

func TestABuildThatCouldLetNobodyInIsRefused(t *testing.T) {
	for what, c := range map[string]struct {
		long       bool
		sed, files string
		variable   string
		want       string
	}{
		"lld":                                {variable: "LDFLAGS=-fuse-ld=lld", want: "the modules need GNU ld"},
		"gold":                               {variable: "LDFLAGS=-fuse-ld=gold", want: "the modules need GNU ld"},
		"mold":                               {variable: "LDFLAGS=-fuse-ld=mold", want: "the modules need GNU ld"},
		"none":                               {variable: "CC=/nowhere/gcc", want: "the modules need GNU ld"},
		"a Go whose object has another name": {true, `s,\*/go\.o,*/golang.o,`, "build/module/deferred-start.ld", "", "go.o has no entry"},
		"a Go whose data has another name":   {true, `s,\.data \.data,.godata .godata,; s,\.noptrdata,.other,g`, "build/module/deferred-start.ld", "", "go.o has no .data"},
		".got deferred":                      {true, `s,return address-s.Addr.*,return address-s.Addr < s.Size \&\& (strings.HasPrefix(s.Name\, goPrefix) || s.Name == ".got"),`, "build/module/deferrelocations/main.go", "LDFLAGS=-Wl,--no-relax", "its page has data of .got"},
		"nothing deferred":                   {true, `s,deferIn(path); err,error(nil); err,`, "build/module/deferrelocations/main.go", "", "has Go's data relocated by the dynamic linker"},
		"pages smaller than the kernel's":    {true, "", "", "LDFLAGS=-Wl,-z,common-page-size=1024", "its page has data of"},
		"an entry that starts nothing":       {true, `s,(\*init)(1.*,(void)init;,; s,_cgo_wait_runtime_init_done();,,`, "pam/*.c", "", "does not start Go for a member"},
		"a crash in the login process":       {true, `s,options_init(&l->options,*(volatile char *)0 = 0; &,`, "pam/*.c", "", "crashes the login process"},
	} {
		if c.long && !*full {
			continue
		}
		t.Run(what, func(t *testing.T) {
			dir := root
			if c.sed != "" {
				dir = copyOf(t, c.sed, c.files)
			}
			var variables []string
			if c.variable != "" {
				variables = []string{c.variable}
			}
			out, output, err := build(t, dir, variables...)
			if err == nil || !strings.Contains(output, c.want) {
				t.Errorf("make build: %v\n%s", err, output)
			}
			if left, _ := filepath.Glob(out + "/pam_*.so"); len(left) > 0 {
				t.Errorf("it leaves %q", left)
			}
		})
	}
}

func TestWhatCannotBeTriedIsSaid(t *testing.T) {
	expect.Check(t, machine.Build())
	// As in a container that allows no namespaces.
	dir := t.TempDir()
	expect.Check(t, os.WriteFile(dir+"/unshare", []byte("#!/bin/sh\nexit 1\n"), 0o755))
	for ci, want := range map[string]int{"": 0, "true": 1} {
		cmd := exec.Command(root+"/build/module/check.sh", machine.Out()+"/pam_newnet.so")
		cmd.Env = append(os.Environ(), "CC=gcc", "CI="+ci, "PATH="+dir+":"+os.Getenv("PATH"))
		output, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want || !strings.Contains(string(output), "was not tried: this machine allows no PID namespace") {
			t.Errorf("CI=%q: exit code %d: %s", ci, got, output)
		}
	}
}
