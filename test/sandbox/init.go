package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
)

// This file is process 1 of a sandbox: it sets up the sandbox, then reaps the orphans and keeps the log.

// report is what process 1 tells its creator, once.
type report struct {
	Error  string // empty: ready
	Denied bool   // the error is one of missing rights
}

// network gives the sandbox an interface besides lo, as every machine has one. The addresses are from the ranges for
// documentation.
const network = `link set lo up
link add eth0 type veth peer name eth0peer
address add 192.0.2.1/24 dev eth0
address add 2001:db8::1/64 dev eth0 nodad
link set eth0 up
link set eth0peer up
`

// hostFiles are the same on every machine: the sandbox has no resolver, and its name must be found without one.
var hostFiles = map[string]string{
	"/etc/hostname":    "sandbox\n",
	"/etc/hosts":       "127.0.0.1 localhost\n::1 localhost\n192.0.2.1 sandbox\n2001:db8::1 sandbox\n",
	"/etc/resolv.conf": "nameserver 127.0.0.1\n",
}

// runInit never returns.
func runInit(tree string) {
	unix.CloseOnExec(3)
	creator := os.NewFile(3, "creator")
	go func() {
		creator.Read(make([]byte, 1)) // nothing is ever sent: it returns when the creator has closed or died
		os.Exit(0)
	}()

	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)

	var outcome report
	if err := setUp(tree); err != nil {
		outcome = report{Error: err.Error(), Denied: errors.Is(err, fs.ErrPermission)}
	}
	if err := json.NewEncoder(creator).Encode(outcome); err != nil || outcome.Error != "" {
		os.Exit(1)
	}
	for range children {
		for reapOne() {
		}
	}
}

// reapOne takes one ended child, if there is one.
func reapOne() bool {
	pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
	return err == unix.EINTR || err == nil && pid > 0
}

func setUp(tree string) error {
	if err := setUpMounts(tree); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("sandbox")); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	for path, content := range hostFiles {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(network)
	if output, err := ip.CombinedOutput(); err != nil {
		return fmt.Errorf("set up the network: ip -batch: %w: %s", err, output)
	}
	return startLog()
}
