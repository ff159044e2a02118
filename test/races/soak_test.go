// SPDX-License-Identifier: GPL-2.0-or-later

package races

import (
	"bufio"
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"libpam-net/test/sandbox"
)

var soak = flag.Int("races.soak", 400, "how many logins the soak is made of (10000 in `make soak`)")

const atOnce = 20

// counts is what a machine is left with.
type counts struct {
	mounts, processes, descriptors, namespaces int // of the machine

	slab map[string]int // of the kernel, to be shown: other machines are at work, too
}

func TestManyLoginsLeaveNothing(t *testing.T) {
	r := newRacetrack(t)
	r.patience = time.Hour
	// The first logins publish their namespaces, which stay.
	r.script("logins 1 nina ulf gina olga")
	before := r.count()
	lines := r.script(`
		worker() {
			for n in $(seq %d); do login nina $1; login ulf $1; login gina $1; login olga $1; done
		}
		for w in $(seq %d); do worker $w & done
		wait`, *soak/atOnce/4, atOnce)
	isolated := 0
	for _, line := range lines {
		switch {
		case line == "ok "+r.own(): // olga
		case strings.HasPrefix(line, "ok net:"):
			isolated++
		default:
			t.Errorf("a login: %q", line)
		}
	}
	if want := len(lines) * 3 / 4; isolated != want {
		t.Errorf("%d of %d logins are isolated, not %d", isolated, len(lines), want)
	}
	// The kernel takes namespaces down in its own time.
	after := r.count()
	for deadline := time.Now().Add(20 * time.Second); after.namespaces != before.namespaces && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
		after = r.count()
	}
	for _, row := range []struct {
		what          string
		before, after int
	}{
		{"mounts", before.mounts, after.mounts},
		{"processes", before.processes, after.processes},
		{"descriptors of process 1", before.descriptors, after.descriptors},
		{"network namespaces", before.namespaces, after.namespaces},
	} {
		t.Logf("%-26s %7d %7d", row.what, row.before, row.after)
		if row.before != row.after {
			t.Errorf("%s: %d before, %d after %d logins", row.what, row.before, row.after, len(lines))
		}
	}
	for name := range before.slab {
		t.Logf("slab %-21s %7d %7d", name, before.slab[name], after.slab[name])
	}
}

func (r *racetrack) count() counts {
	r.t.Helper()
	mounts, err := sandbox.MountTable(r.PID())
	if err != nil {
		r.t.Fatal(err)
	}
	number := func(script string) int {
		n, err := strconv.Atoi(r.script("%s", script)[0])
		if err != nil {
			r.t.Fatal(err)
		}
		return n
	}
	return counts{
		mounts:      len(mounts),
		processes:   number("set -- /proc/[0-9]*; echo $#"), // zombies have a folder as well
		descriptors: number("ls /proc/1/fd | wc -l"),
		namespaces:  number("lsns --noheadings --type net --output NS | wc -l"),
		slab:        readSlab(r.t),
	}
}

// readSlab counts the live objects of the kernel's caches that matter.
func readSlab(t *testing.T) map[string]int {
	t.Helper()
	file, err := os.Open("/proc/slabinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	slab := map[string]int{}
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		switch fields := strings.Fields(scanner.Text()); fields[0] {
		case "net_namespace", "mnt_cache", "task_struct", "dentry":
			slab[fields[0]], _ = strconv.Atoi(fields[1])
		}
	}
	return slab
}
