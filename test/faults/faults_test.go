// SPDX-License-Identifier: GPL-2.0-or-later

package faults

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"libpam-net/test/sandbox"
)

var (
	full   = flag.Bool("faults.full", false, "try every point in every mode, and not a sample")
	number = flag.Int("faults.sample", 800, "how many to try")
	seed   = flag.Uint64("faults.seed", 0, "of the sample; 0: a new one")
	match  = flag.String("faults.match", "", "try only those whose name (SCENARIO/ROLE/CALL/NTH/MODE) matches this regular expression")
	which  = flag.String("faults.scenario", "", "try only the scenarios whose whole name matches this regular expression")
	only   = flag.String("faults.point", "", "try this one alone")
	out    = flag.String("faults.out", "", "write the table to this file, too")
)

const (
	// Most machines wait, for a child that stands still or for a processor.
	machinesPerProcessor = 6

	// How many disturbed logins a machine serves before it is thrown away.
	batchSize = 500

	// How often the test tells how far it has got.
	progressEvery = 20 * time.Second
)

var (
	program string         // inject
	calls   map[int]string // the names of the system calls
)

func TestMain(m *testing.M) {
	sandbox.Main()
	flag.Parse()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "faults")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "inject")
		if err = buildInject(program); err == nil {
			calls, err = systemCalls()
		}
		if err != nil {
			log.Print(err)
			return 1
		}
		return m.Run()
	}())
}

func TestOneFaultNeverLetsAMemberIntoTheWrongNetwork(t *testing.T) {
	s := suite{T: t, spare: make(map[*scenario]*bench)}
	defer s.close()
	jobs, err := s.choose()
	if errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := s.run(jobs); err != nil {
		t.Error(err)
	}
	table := summary(s.results, time.Since(start))
	t.Logf("\n%s", table)
	if *out != "" {
		if err := os.WriteFile(*out, table, 0o644); err != nil {
			t.Error(err)
		}
	}
	for _, r := range s.results {
		if r.bad() {
			t.Error(r)
		} else if *only != "" {
			t.Log(r)
		}
	}
}

// suite is a run of the test.
type suite struct {
	*testing.T
	spare map[*scenario]*bench // those that the points were found on

	mu      sync.Mutex // guards what follows, and spare
	results []result
	failed  error // about jobs that could not be done
}

// choose returns the jobs that the flags ask for.
func (s *suite) choose() ([]job, error) {
	if *only != "" {
		j, err := parseJob(*only)
		return []job{j}, err
	}
	wanted, err := regexp.Compile(*match)
	if err != nil {
		return nil, err
	}
	some, err := regexp.Compile("^(?:" + cmp.Or(*which, ".*") + ")$")
	if err != nil {
		return nil, err
	}
	var all []job
	for _, of := range scenarios {
		if !some.MatchString(of.name) {
			continue
		}
		b, err := newBench(of)
		if err != nil {
			return nil, err
		}
		s.spare[of] = b
		points, err := b.points()
		if err != nil {
			return nil, err
		}
		s.Logf("%s makes %d system calls", of.name, len(points))
		all = append(all, of.jobs(points)...)
	}
	if *match != "" {
		all = slices.DeleteFunc(all, func(j job) bool { return !wanted.MatchString(j.String()) })
	}
	if *full {
		return all, nil
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	s.Logf("%d of %d faults, -faults.seed=%d", *number, len(all), *seed)
	return sample(all, *number, rand.New(rand.NewPCG(*seed, 0))), nil
}

// run does the jobs, on several machines at a time.
func (s *suite) run(jobs []job) error {
	work, done := make(chan []job), make(chan struct{})
	var workers, teller sync.WaitGroup
	for range machinesPerProcessor * runtime.NumCPU() {
		workers.Go(func() {
			for batch := range work {
				s.runBatch(batch)
			}
		})
	}
	teller.Go(func() { s.tellProgress(len(jobs), done) })
	for _, of := range scenarios {
		some := slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return j.scenario != of })
		// Those that idle are not to come all at once.
		rand.Shuffle(len(some), func(i, k int) { some[i], some[k] = some[k], some[i] })
		for batch := range slices.Chunk(some, batchSize) {
			work <- batch
		}
	}
	close(work)
	workers.Wait()
	close(done)
	teller.Wait()
	return s.failed
}

// tellProgress logs how many of the jobs are done, until all are.
func (s *suite) tellProgress(all int, done <-chan struct{}) {
	start := time.Now()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		s.mu.Lock()
		n := len(s.results)
		s.mu.Unlock()
		left := time.Duration(float64(time.Since(start)) / float64(max(n, 1)) * float64(all-n))
		s.Logf("%d of %d, about %v left", n, all, left.Round(time.Second))
	}
}

// runBatch does jobs of one scenario. What has gone wrong on a machine is not to
// go wrong with the jobs after it, so that they get a new one.
func (s *suite) runBatch(jobs []job) {
	for len(jobs) > 0 {
		b, err := s.bench(jobs[0].scenario)
		if err != nil {
			s.note(result{}, err)
			return
		}
		for spoilt := false; len(jobs) > 0 && !spoilt; jobs = jobs[1:] {
			r, err := b.try(jobs[0], len(jobs) == 1)
			if err != nil {
				err = fmt.Errorf("%v: %w", jobs[0], err)
			}
			s.note(r, err)
			spoilt = err != nil || r.bad()
		}
		b.close()
	}
}

// bench returns a machine for the scenario.
func (s *suite) bench(of *scenario) (*bench, error) {
	s.mu.Lock()
	b := s.spare[of]
	delete(s.spare, of)
	s.mu.Unlock()
	if b != nil {
		return b, nil
	}
	return newBench(of)
}

func (s *suite) note(r result, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed = errors.Join(s.failed, err)
	} else {
		s.results = append(s.results, r)
	}
}

func (s *suite) close() {
	for _, b := range s.spare {
		b.close()
	}
}

// summary is a table of the results, a row for each scenario, as docs/RELIABILITY.md has it.
func summary(results []result, took time.Duration) []byte {
	var text bytes.Buffer
	const columns = 12
	fmt.Fprintln(&text, "| scenario | runs | isolated | refused | let in | pruned | prune failed | killed | wrong | host deaths | leftovers | not reached |")
	fmt.Fprintln(&text, strings.Repeat("|---", columns)+"|")
	followed, slowest := 0, 0
	for _, s := range append(slices.Clone(scenarios), nil) {
		var n struct {
			runs, wrong, left, missed int
			outcomes                  [outcomes]int
		}
		for _, r := range results {
			if s != nil && r.scenario != s {
				continue
			}
			n.runs++
			n.outcomes[r.outcome]++
			n.wrong += count(len(r.wrong) > 0 && r.outcome != died)
			n.left += count(len(r.left) > 0)
			n.missed += count(!r.hit)
			slowest = max(slowest, r.ms)
			if s != nil {
				followed += count(r.followed)
			}
		}
		if n.runs == 0 {
			continue
		}
		name := "all"
		if s != nil {
			name = s.name
		}
		fmt.Fprintf(&text, "| %s | %d |", name, n.runs)
		for _, o := range []outcome{isolated, refused, ignored, pruned, complained, killed} {
			fmt.Fprintf(&text, " %s |", strings.TrimPrefix(strconv.Itoa(n.outcomes[o]), "0")) // no number begins with one
		}
		fmt.Fprintf(&text, " %d | %d | %d | %d |\n", n.wrong, n.outcomes[died], n.left, n.missed)
	}
	fmt.Fprintf(&text, "\n%d faults in %v, %.0f a second, the slowest login %.1f s; %d had left something for a next login to be tried on\n",
		len(results), took.Round(time.Second), float64(len(results))/took.Seconds(), float64(slowest)/1000, followed)
	missed := make(map[string]int)
	for _, r := range results {
		missed[r.role+" "+callName(r.number)] += count(!r.hit)
	}
	for _, call := range slices.SortedFunc(maps.Keys(missed), func(a, b string) int {
		return cmp.Or(missed[b]-missed[a], strings.Compare(a, b))
	}) {
		if missed[call] > 0 {
			fmt.Fprintf(&text, "not reached: %s, %d times\n", call, missed[call])
		}
	}
	return text.Bytes()
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
