// SPDX-License-Identifier: GPL-2.0-or-later

//go:build pending

package faults

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"libpam-net/test/sandbox"
)

var (
	full     = flag.Bool("faults.full", false, "try every point in every mode, and not a sample")
	number   = flag.Int("faults.sample", 300, "how many to try")
	seed     = flag.Uint64("faults.seed", 0, "of the sample; 0: a new one")
	match    = flag.String("faults.match", "", "try only those whose name (SCENARIO/ROLE/CALL/NTH/MODE) matches this regular expression")
	only     = flag.String("faults.point", "", "try this one alone")
	out      = flag.String("faults.out", "", "write the table to this file, too")
	machines = flag.Int("faults.machines", 8, "how many machines to use at a time")
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

// batchSize is how many disturbed logins a machine serves at most before it is thrown away.
const batchSize = 250

func TestOneFaultNeverLetsAMemberIntoTheWrongNetwork(t *testing.T) {
	jobs, err := choose(t)
	if errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	results, err := run(jobs)
	if err != nil {
		t.Error(err)
	}
	table := summary(results, time.Since(start))
	t.Logf("\n%s", table)
	if *only != "" {
		for _, r := range results {
			t.Log(r)
		}
	}
	if *out != "" {
		if err := os.WriteFile(*out, table, 0o644); err != nil {
			t.Error(err)
		}
	}
	for _, r := range results {
		if r.bad() {
			t.Error(r)
		}
	}
}

// choose returns the jobs that the flags ask for.
func choose(t *testing.T) ([]job, error) {
	if *only != "" {
		j, err := parseJob(*only)
		return []job{j}, err
	}
	wanted, err := regexp.Compile(*match)
	if err != nil {
		return nil, err
	}
	var all []job
	for _, s := range scenarios {
		b, err := newBench(s)
		if err != nil {
			return nil, err
		}
		points, err := b.points()
		b.close()
		if err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(s.jobs(points), func(j job) bool { return !wanted.MatchString(j.String()) })...)
	}
	if *full {
		return all, nil
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("%d of %d faults, -faults.seed=%d", *number, len(all), *seed)
	return sample(all, *number, rand.New(rand.NewPCG(*seed, 0))), nil
}

// run does the jobs on several machines at a time. The error is about those that
// could not be done.
func run(jobs []job) ([]result, error) {
	var (
		work    = make(chan []job)
		mu      sync.Mutex
		results []result
		failed  error
		workers sync.WaitGroup
	)
	for range *machines {
		workers.Go(func() {
			for batch := range work {
				done, err := runBatch(batch)
				mu.Lock()
				results = append(results, done...)
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	size := min(len(jobs)/(4**machines)+1, batchSize)
	for _, s := range scenarios {
		of := slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return j.scenario != s })
		// The slow modes are not to come all at once.
		rand.Shuffle(len(of), func(i, k int) { of[i], of[k] = of[k], of[i] })
		for batch := range slices.Chunk(of, size) {
			work <- batch
		}
	}
	close(work)
	workers.Wait()
	slices.SortFunc(results, func(a, b result) int { return strings.Compare(a.job.String(), b.job.String()) })
	return results, failed
}

// runBatch does jobs of one scenario. What has gone wrong on a machine is not to
// go wrong with the jobs after it, so that they get a new one.
func runBatch(jobs []job) (results []result, failed error) {
	for len(jobs) > 0 {
		b, err := newBench(jobs[0].scenario)
		if err != nil {
			return results, errors.Join(failed, err)
		}
		for spoilt := false; len(jobs) > 0 && !spoilt; jobs = jobs[1:] {
			r, err := b.try(jobs[0])
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("%v: %w", jobs[0], err))
			} else {
				results = append(results, r)
			}
			spoilt = err != nil || r.bad()
		}
		b.close()
	}
	return results, failed
}

// summary is a table of the results, a row for each scenario.
func summary(results []result, took time.Duration) []byte {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "scenario\truns\tisolated\trefused\tignored\tkilled\twrong\thost deaths\tleftovers\tnot reached\tslowest\t")
	for _, s := range append(scenarios, nil) {
		var n struct {
			runs, wrong, died, left, missed, slowest int
			outcomes                                 [outcomes]int
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
			n.slowest = max(n.slowest, r.ms)
		}
		name := "all"
		if s != nil {
			name = s.name
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f s\t\n", name, n.runs, n.outcomes[isolated],
			n.outcomes[refused], n.outcomes[ignored], n.outcomes[killed], n.wrong, n.outcomes[died], n.left, n.missed,
			float64(n.slowest)/1000)
	}
	w.Flush()
	fmt.Fprintf(&text, "%d faults in %v\n", len(results), took.Round(time.Second))
	missed := make(map[string]int)
	for _, r := range results {
		missed[r.role+" "+callName(r.number)] += count(!r.hit)
	}
	for _, call := range slices.SortedFunc(maps.Keys(missed), func(a, b string) int { return missed[b] - missed[a] }) {
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
