// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"strings"
)

const remainsSection = "4. What stays during a session"

// quantities are what is looked at in a host process with its session open. There are seven more like it:
// on a machine with logins, what all of them map is no process's own.
var quantities = []struct {
	name, unit string
	measure    func(proc string) (float64, error)
	goals      []goal
}{
	{"threads", "", func(proc string) (float64, error) { return entries(proc + "/task") }, []goal{above(0, "", none)}},
	{"descriptors", "", func(proc string) (float64, error) { return entries(proc + "/fd") }, []goal{above(0, "", none)}},
	{"signal handlers", "", handlers, []goal{above(0, "", none)}},
	{"private memory", "KiB", privateMemory, []goal{above(100, "KiB", debian12)}},
	{"proportional memory", "KiB", func(proc string) (float64, error) { return kibibytes(proc+"/smaps_rollup", "Pss") }, nil},
}

// remains looks at host processes whose stack has all modules.
func (s *suite) remains() error {
	for _, c := range []loginCase{
		{name: "non-member", service: "three", user: "olga"},
		{name: "newnet", service: "three", user: "nina"},
		{name: "usernet", service: "three", user: joinCase().user},
	} {
		s.progress(remainsSection, c.name)
		values := make([]map[column][]float64, len(quantities))
		for i := range values {
			values[i] = make(map[column][]float64)
		}
		for range s.fewer(6) {
			for _, b := range s.beds {
				pids, err := b.watch.hold(8, loginProgram, "--hold", c.service, c.user)
				if err != nil {
					return b.failure([]string{c.service, c.user}, answer{text: err.Error()})
				}
				for i, q := range quantities {
					v, err := q.measure(b.Root() + "/proc/" + pids[0])
					if err != nil {
						return fmt.Errorf("%s of %s: %w", q.name, c.name, err)
					}
					values[i][b.column] = append(values[i][b.column], v)
				}
				if err := b.watch.release(); err != nil {
					return err
				}
			}
		}
		for i, q := range quantities {
			s.add(Row{Section: remainsSection, Name: c.name + ": " + q.name, Unit: q.unit}, values[i], q.goals...)
		}
	}
	for _, b := range s.beds {
		if _, err := b.watch.run(floorProgram, "remove", joinCase().network); err != nil {
			return err
		}
	}
	return nil
}

func entries(dir string) (float64, error) {
	list, err := os.ReadDir(dir)
	return float64(len(list)), err
}

// handlers counts the signals that are caught.
func handlers(proc string) (float64, error) {
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "SigCgt:\t")
	mask, _, _ := strings.Cut(rest, "\n")
	caught, err := strconv.ParseUint(mask, 16, 64)
	return float64(bits.OnesCount64(caught)), err
}

func privateMemory(proc string) (float64, error) {
	clean, err := kibibytes(proc+"/smaps_rollup", "Private_Clean")
	if err != nil {
		return 0, err
	}
	dirty, err := kibibytes(proc+"/smaps_rollup", "Private_Dirty")
	return clean + dirty, err
}
