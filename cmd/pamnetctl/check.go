// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"libpam-net/internal/policy"
	"libpam-net/internal/sessions"
	"libpam-net/internal/trial"
)

// checked is what check prints as JSON.
type checked struct {
	trial.Report
	Run *trial.Ran `json:"run,omitempty"`
}

func checkCommand() *cobra.Command {
	var service, command string
	var all bool
	c := &cobra.Command{
		Use:   "check USER",
		Short: "Log a user in to see what a login gets (root)",
		Long: `Opens a real session of USER's through the PAM stack of a service, in a process that ends with it. Prints
its network, its name servers, the host's sockets within reach, and the modules' warnings. The session
is closed again, and what it has left is taken back. No log and no utmp(5) has it.

Use it after "pamnetctl explain", to prove that a login gets what it should. The exit code is 1 if the
login is refused, or a member stays in the host's network. It is the command's with --run.`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case all == (len(args) == 1) || len(args) > 1:
				return errors.New("name either a user or --all-members")
			case all && command != "":
				return errors.New("--run needs a user: leave out --all-members")
			}
			return nil
		},
	}
	asJSON := addJSON(c)
	addService(c, &service)
	c.ValidArgsFunction = completeMember(&service)
	c.Flags().StringVar(&command, "run", "", "run `COMMAND` in the session, as the user")
	c.Flags().BoolVar(&all, "all-members", false, "check every member of the modules' groups, and print a line for each")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := onlyRoot("log others in; use sudo"); err != nil {
			return err
		}
		p, err := loadService(service)
		if err != nil {
			return err
		}
		k := checker{policy: p, service: service, out: c.OutOrStdout(), errors: c.ErrOrStderr(), asJSON: *asJSON}
		runtime.LockOSThread()
		signals := []os.Signal{unix.SIGTERM, unix.SIGHUP}
		if command != "" {
			signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGQUIT) // check passes them on to the command
		} else {
			signals = append(signals, unix.SIGINT)
		}
		ctx, stop := signal.NotifyContext(c.Context(), signals...)
		defer stop()
		if k.series, err = trial.Begin(); err != nil {
			return err
		}
		if all {
			err = k.members(ctx)
		} else {
			err = k.user(ctx, args[0], command)
		}
		return errors.Join(err, k.end(ctx))
	}
	return c
}

// addService gives a command that follows a service's stack the option --service.
func addService(c *cobra.Command, service *string) {
	c.Flags().StringVar(service, "service", "sshd", "follow the PAM stack of `SERVICE`")
	_ = c.RegisterFlagCompletionFunc("service", completeService) // it fails if there is no such option
}

// loadService reads the policy of this machine. It returns an error if that does not have the service.
func loadService(service string) (*policy.Policy, error) {
	p, err := policy.Load("/", policy.Live())
	if err != nil {
		return nil, err
	}
	if !slices.Contains(p.Stacks.Services(), service) {
		return nil, fmt.Errorf("no service %q exists: name a file of /etc/pam.d or /usr/lib/pam.d by --service", service)
	}
	return p, nil
}

type checker struct {
	policy      *policy.Policy
	series      *trial.Series
	service     string
	out, errors io.Writer
	asJSON      bool
}

// user checks a user, and runs a command in the session unless it is "".
func (k checker) user(ctx context.Context, user, command string) (err error) {
	login, r, err := k.open(ctx, user, command != "" && !k.asJSON)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, login.Close()) }()
	result := checked{Report: r}
	if !k.asJSON {
		if err := printReport(k.out, r); err != nil {
			return err
		}
	}
	var ended error
	if command != "" && r.Outcome != policy.Refused {
		ran, err := login.Run(command)
		if err != nil {
			return err
		}
		result.Run = &ran
		if ran.ExitCode != 0 {
			ended = exitCode(ran.ExitCode)
		}
	}
	if k.asJSON {
		if err := printObject(k.out, result); err != nil {
			return err
		}
	}
	if len(r.Problems) > 0 {
		return fmt.Errorf("%s: %s", user, strings.Join(r.Problems, "; "))
	}
	return ended
}

// members checks every member of the groups that the service's lines name.
func (k checker) members(ctx context.Context) error {
	var reports []trial.Report
	problems := 0
	users, complete, err := k.policy.ServiceMembers(k.service)
	if err != nil {
		return err
	}
	if !complete {
		fmt.Fprintln(k.errors, "pamnetctl: check: there may be more members, which a directory does not list")
	}
	for _, user := range users {
		login, r, err := k.open(ctx, user, false)
		if err == nil {
			err = login.Close()
		}
		if err == nil {
			_, err = k.series.TakeBack()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", user, err)
		}
		if len(r.Problems) > 0 {
			problems++
		}
		reports = append(reports, r)
	}
	show := printReports
	if k.asJSON {
		show = printJSON[trial.Report]
	}
	err = show(k.out, reports)
	if err == nil && problems > 0 {
		err = fmt.Errorf("problems with %s", count(problems, "user"))
	}
	return err
}

func (k checker) open(ctx context.Context, user string, terminal bool) (*trial.Login, trial.Report, error) {
	d := k.policy.Decide(k.service, user)
	login, err := k.series.Open(ctx, user, k.service, terminal)
	if ctx.Err() != nil {
		err = errors.Join(errors.New("interrupted"), err)
	}
	if err != nil {
		return nil, trial.Report{}, err
	}
	return login, login.Report(user, k.service, d), nil
}

// end takes back what the logins have left. It names on stderr the networks that could not be taken down.
func (k checker) end(ctx context.Context) error {
	stays, err := k.series.End(ctx, func() {
		fmt.Fprintln(k.errors, "pamnetctl: check: waits for the user's service manager, which keeps a network for some 10 seconds more")
	})
	for _, p := range stays {
		fmt.Fprintf(k.errors, "pamnetctl: check: network %q, created by this check, stays: %s\n", p.Name, p.Why)
	}
	return err
}

// printReports prints a line for each user.
func printReports(w io.Writer, reports []trial.Report) error {
	t := newTable(w)
	fmt.Fprintln(t, "USER\tOUTCOME\tMODULE\tNETWORK\tMS\tPROBLEMS")
	for _, r := range reports {
		network, why := "", strings.Join(r.Problems, "; ")
		if r.Network != nil {
			network = sessions.NetworkName(r.Network.Name, r.Network.Inode)
		}
		if r.Outcome == policy.Refused {
			why = r.Why
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.0f\t%s\n", r.User, r.Outcome, orDash(r.Module), orDash(network), r.Milliseconds, orDash(why))
	}
	return t.Flush()
}

// printReport prints a line for each property of the session.
func printReport(w io.Writer, r trial.Report) error {
	t := newTable(w)
	last := ""
	line := func(key string, values ...string) {
		for _, value := range values {
			if value == "" {
				continue
			}
			shown := key
			if key == last {
				shown = ""
			}
			last = key
			fmt.Fprintf(t, "  %s\t%s\n", shown, plain(value))
		}
	}
	outcome := map[policy.Outcome]string{
		policy.Isolated: "isolated", policy.Refused: "refused", policy.Host: "in the host's network",
	}[r.Outcome]
	fmt.Fprintf(w, "%s through %s: %s\n", r.User, r.Service, outcome)
	line("module", r.Module)
	line("why", r.Why)
	if n := r.Network; n != nil {
		network := fmt.Sprintf("net:[%d]", n.Inode)
		if n.Name != "" {
			network += fmt.Sprintf(" %q", n.Name)
		}
		if n.Created {
			network += ", created by this check"
		}
		line("network", network)
		for _, i := range n.Interfaces {
			state := "down"
			if i.Up {
				state = "up"
			}
			line("interface", strings.Join(append([]string{i.Name, state}, i.Addresses...), " "))
		}
		for _, route := range n.Routes {
			line("default route", strings.TrimSpace(route.Gateway+" by "+route.Interface))
		}
	}
	if r.Outcome == policy.Isolated {
		line("/sys/class/net", strings.Join(r.ClassNet, " "))
		line("replaced", r.StandIns...)
		line("name server", r.DNS...)
		line("host's socket", r.Sockets...)
	}
	for _, l := range r.Log {
		if l.Priority <= int(syslog.LOG_WARNING) && l.Text != r.Why {
			line("log", l.Module+": "+l.Text)
		}
	}
	line("time", fmt.Sprintf("%.0f ms", r.Milliseconds))
	line("problem", r.Problems...)
	return t.Flush()
}
