// SPDX-License-Identifier: GPL-2.0-or-later

// Command mutants removes one security check at a time, in a copy of the project, and
// proves that a test notices. README.md describes the files that say which.
//
// usage: mutants [--apply-only] [AREA/NAME...]
//
// It runs in the project's folder. A name may be a pattern, as 'adopt/*'. Without names it
// takes all mutants. With --apply-only it only proves that they apply and that their tests exist.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

func main() {
	applyOnly := flag.Bool("apply-only", false, "run no test")
	flag.Parse()
	if err := run(".", *applyOnly, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(dir string, applyOnly bool, names []string) error {
	all, err := readMutants(filepath.Join(dir, "test/mutants"))
	if err != nil {
		return err
	}
	mutants, err := choose(all, names)
	if err != nil {
		return err
	}
	code, err := readTree(dir)
	if err != nil {
		return err
	}
	if err := check(dir, code, mutants); err != nil || applyOnly {
		return err
	}
	if os.Getuid() != 0 {
		return errors.New("only root can run the tests that have to notice")
	}
	// So that Ctrl-C, which ends the test that is running, leaves no copy behind.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	folder, err := newCopy(dir)
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	return trial{folder, code, os.Stdout}.all(ctx, mutants)
}

// choose returns the mutants that have one of the names. It fails if a name chooses none.
func choose(all []mutant, names []string) ([]mutant, error) {
	if len(names) == 0 {
		names = []string{"*/*"}
	}
	chosen := map[string]bool{}
	for _, name := range names {
		found := false
		for _, m := range all {
			matched, err := path.Match(name, m.name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if matched {
				chosen[m.name], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no mutant has the name %s", name)
		}
	}
	var mutants []mutant
	for _, m := range all {
		if chosen[m.name] {
			mutants = append(mutants, m)
		}
	}
	return mutants, nil
}

// check returns an error that names all mutants that do not apply, or whose tests do not exist.
func check(dir string, code tree, mutants []mutant) error {
	var all []error
	for _, m := range mutants {
		_, _, err := code.mutate(m)
		if err = errors.Join(err, m.test.find(dir)); err != nil {
			all = append(all, fmt.Errorf("%s: %w", m.name, err))
		}
	}
	return errors.Join(all...)
}

// deps are the folders below out/ that tests need and no build writes: `make deps` makes them.
var deps = []string{"companions", "debian", "directory", "proftpd", "resolvers", "services"}

// newCopy copies the project in dir, without its history and what has been built, and
// returns the folder of the copy. The caller must remove it.
func newCopy(dir string) (string, error) {
	folder, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return "", err
	}
	if err := copyInto(folder, dir); err != nil {
		os.RemoveAll(folder)
		return "", fmt.Errorf("copy the project: %w", err)
	}
	return folder, nil
}

func copyInto(folder, dir string) error {
	cmd := exec.Command("sh", "-c", `tar -c --exclude=./.git --exclude=./out . | tar -x -C "$0"`, folder)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	out, err := filepath.Abs(filepath.Join(dir, "out"))
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(folder, "out"), 0o755); err != nil {
		return err
	}
	for _, name := range deps {
		if err := os.Symlink(filepath.Join(out, name), filepath.Join(folder, "out", name)); err != nil {
			return err
		}
	}
	return os.Chmod(folder, 0o755) // some tests run programs as a user
}

// A trial tries mutants in a copy of the project.
type trial struct {
	dir  string // of the copy
	code tree
	out  io.Writer // gets a line about each mutant
}

// all tries each of the mutants. It returns an error unless all are noticed.
func (t trial) all(ctx context.Context, mutants []mutant) error {
	unfit := map[test]string{} // by test that was run without a mutant: why it is of no use, "" for one that passes
	noticed := 0
	for _, m := range mutants {
		why, known := unfit[m.test]
		if !known {
			why = t.unfit(m.test)
			unfit[m.test] = why
		}
		how, ok, err := why, false, error(nil)
		if why == "" {
			how, ok, err = t.one(m)
		}
		if err = errors.Join(ctx.Err(), err); err != nil {
			return err
		}
		if ok {
			noticed++
		}
		fmt.Fprintf(t.out, "%s: %s\n", m.name, how)
	}
	fmt.Fprintf(t.out, "noticed: %d of %d\n", noticed, len(mutants))
	if noticed < len(mutants) {
		return errors.New("not all mutants are noticed")
	}
	return nil
}

// unfit runs a test without a mutant. It returns why the test proves nothing, "" if it does.
func (t trial) unfit(of test) string {
	log, err := t.run(of.command("-v")...)
	if err == nil && !strings.Contains(log, "no tests to run") && !strings.Contains(log, "--- SKIP: ") {
		return ""
	}
	return fmt.Sprintf("without any mutant, %s in %s does not pass\n%s", of.pattern, of.folder, log)
}

// one tries m: it returns how m ends, and whether its test has noticed it.
func (t trial) one(m mutant) (how string, noticed bool, err error) {
	before, after, err := t.code.mutate(m)
	if err != nil {
		return "", false, err
	}
	if err := after.write(t.dir); err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, before.write(t.dir)) }()

	// So that a mutant dies of its test and not of the compiler.
	for file := range after {
		folder := filepath.Dir(file)
		if sources, _ := filepath.Glob(filepath.Join(t.dir, folder, "*.go")); sources == nil {
			continue
		}
		if log, err := t.run("build", "-o", os.DevNull, "./"+folder); err != nil {
			return "does not compile:\n" + log, false, nil
		}
	}
	log, err := t.run(m.test.command()...)
	if err == nil {
		return fmt.Sprintf("survives %s in %s", m.test.pattern, m.test.folder), false, nil
	}
	return reason(log), true, nil
}

// run runs go with the arguments in the copy, and returns what it writes.
func (t trial) run(arguments ...string) (string, error) {
	cmd := exec.Command("go", arguments...)
	cmd.Dir = t.dir
	// The copy has no modules yet, and tests find its folder by their sources' paths: no -trimpath.
	cmd.Env = append(os.Environ(), "MODULES_BUILT=", "GOFLAGS=-buildvcs=false", "CGO_CFLAGS=-O1 -Werror",
		"SOURCE_DATE_EPOCH=1", "MAINTAINER=Nobody <nobody@localhost>") // no git tells build/package.sh
	log, err := cmd.CombinedOutput()
	return string(log), err
}

// command returns the arguments of go that run the test, with those of the caller.
func (t test) command(arguments ...string) []string {
	return append([]string{"test", "-count=1", "-timeout=5m", "-run", t.pattern, "./" + t.folder}, arguments...)
}

var reasons = regexp.MustCompile(`(?m)^.*_test\.go:[0-9]+: .*$|^panic: .*$`)

// reason returns the line of a test's log that says why it has failed.
func reason(log string) string {
	line := reasons.FindString(log)
	if line == "" {
		line = log[strings.LastIndex(strings.TrimSpace(log), "\n")+1:]
	}
	return fmt.Sprintf("%.160s", strings.TrimSpace(line))
}
