// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// A contestant is what is run for one column.
type contestant struct {
	column
	*bed
	argv   []string
	before []string // what is run before each, and not measured
	value  func(answer) (float64, error)
	worst  int // the highest exit status that is no failure
}

// rest is how long nothing is done before a run, so that the kernel has taken down the namespaces of
// the one before: else each would wait for the other's.
const rest = 15 * time.Millisecond

// measure runs the contestants in turn, each round beginning with another one, after a round that does not count.
func measure(rounds int, contest []contestant) (map[column][]float64, error) {
	values := make(map[column][]float64)
	for round := range rounds + 1 {
		for i := range contest {
			c := contest[(round+i)%len(contest)]
			v, err := c.runOnce()
			if err != nil {
				return nil, err
			}
			if round > 0 {
				values[c.column] = append(values[c.column], v)
			}
		}
	}
	return values, nil
}

func (c contestant) runOnce() (float64, error) {
	if c.before != nil {
		if a, err := c.watch.run(c.before...); err != nil || a.status != 0 {
			return 0, fmt.Errorf("%q: %s: %w", c.before, a.text, err)
		}
	}
	time.Sleep(rest)
	a, err := c.watch.run(c.argv...)
	if err != nil {
		return 0, err
	}
	if a.status > c.worst {
		return 0, c.failure(c.argv, a)
	}
	return c.value(a)
}

// whole is the time from the start of a program to its end, in ms.
func whole(a answer) (float64, error) { return ms(a.took), nil }

// printed is the time that c/login.c or c/floor.c prints, in ms.
func printed(a answer) (float64, error) {
	first, _, _ := strings.Cut(a.text, " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("no time, but %q", a.text)
	}
	return ms(time.Duration(ns)), nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// settle waits until the kernel has taken down the network namespaces that nobody is in any more: until it has
// hardly more than there were before. It gives up when its patience ends, for others on the machine may have made some.
func settle(before int, patience time.Duration) error {
	const slack = 100 // freed, but still with a processor
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * rest) {
		if now, err := networks(); err != nil || now <= before+slack {
			return err
		}
	}
	return nil
}

// networks is how many network namespaces the kernel has memory for.
func networks() (int, error) {
	table, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "net_namespace" {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, nil // its memory is one with that of other things of its size
}

// kibibytes is a number of /proc/meminfo, /proc/PID/smaps_rollup and the like.
func kibibytes(file, key string) (float64, error) {
	table, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(table)) {
		if name, value, ok := strings.Cut(line, ":"); ok && name == key {
			return strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, key)
}
