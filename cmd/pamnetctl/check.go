// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"libpam-net/internal/doctor"
	"libpam-net/internal/policy"
	"libpam-net/internal/sessions"
	"libpam-net/internal/trial"
)

// checked is what check prints as JSON.
type checked struct {
	trial.Report
	Run *trial.Ran `json:"run,omitempty"`
}

// checkOptions are the options of check.
type checkOptions struct {
	users, services         []string
	allMembers, allServices bool
	command, page           string
	net                     bool
	targets                 []string
	asJSON                  *bool
}

// isDetailed tells whether check prints all of one login. Else it prints lines for many.
func (o checkOptions) isDetailed(args []string) bool {
	return len(args) == 1 && len(o.services) < 2 && !o.allServices && o.page == ""
}

func (o checkOptions) wanted() trial.Wanted {
	return trial.Wanted{Ways: o.net || o.page != "", Daemons: doctor.Daemons(), Net: o.net, Targets: o.targets}
}

// validate returns an error if the options do not fit.
func (o checkOptions) validate(args []string) error {
	ways := 0
	for _, given := range []bool{len(args) > 0, o.allMembers, len(o.users) > 0} {
		if given {
			ways++
		}
	}
	for _, target := range o.targets {
		if _, _, err := net.SplitHostPort(target); err != nil {
			return fmt.Errorf("--target %s: write HOST:PORT, an IPv6 address in brackets", target)
		}
	}
	switch {
	case ways != 1 || len(args) > 1:
		return errors.New("name either a user or --all-members, or users by --user")
	case o.allServices && len(o.services) > 0:
		return errors.New("name either --all-services, or services by --service")
	case len(o.targets) > 0 && !o.net:
		return errors.New("--target needs --net")
	case o.command != "" && !o.isDetailed(args):
		return errors.New("--run needs a user and at most one service: leave out --all-members, --all-services, --user and --html")
	}
	return nil
}

func checkCommand() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check USER",
		Short: "Log users in to see what a login gets (root)",
		Long: `Opens a real session of USER's through the PAM stack of a service, in a process that ends with it. Prints
its network, its name servers, the host's sockets within reach, and the modules' warnings. The session
is closed again, and what it has left is taken back. No log and no utmp(5) has it.

Use it after "pamnetctl explain", to prove that a login gets what it should. With --all-members and
--all-services it does so for all, one login after the other, and --html writes a report. The exit
code is 1 if a login is refused, or a member stays in the host's network. It is the command's with
--run.`,
		Args: func(_ *cobra.Command, args []string) error { return o.validate(args) },
	}
	o.addTo(c)
	c.RunE = func(c *cobra.Command, args []string) error { return check(c, o, args) }
	return c
}

// addTo gives the command the options.
func (o *checkOptions) addTo(c *cobra.Command) {
	o.asJSON = addJSON(c)
	f := c.Flags()
	f.StringArrayVar(&o.services, "service", nil, "follow the PAM stack of `SERVICE`; may be repeated (default sshd)")
	f.BoolVar(&o.allServices, "all-services", false, "log in through every service that opens sessions")
	f.StringArrayVar(&o.users, "user", nil, "check `USER`, and print a line; may be repeated")
	f.BoolVar(&o.allMembers, "all-members", false, "check every member of the modules' groups, and print a line for each")
	f.StringVar(&o.command, "run", "", "run `COMMAND` in the session, as the user")
	f.BoolVar(&o.net, "net", false, "find out what the session reaches, and which ways remain open")
	f.StringArrayVar(&o.targets, "target", nil, "with --net: connect to `HOST:PORT`; may be repeated")
	f.StringVar(&o.page, "html", "", "write a report to `FILE`, as a page of HTML")
	c.ValidArgsFunction = completeMemberOf(func() []string { return o.services })
	// They fail if there is no such option.
	_ = c.RegisterFlagCompletionFunc("service", completeLogin)
	_ = c.RegisterFlagCompletionFunc("user", c.ValidArgsFunction)
	_ = c.RegisterFlagCompletionFunc("target", cobra.NoFileCompletions)
	_ = c.MarkFlagFilename("html", "html")
}

// check does what the command is for.
func check(c *cobra.Command, o checkOptions, args []string) error {
	if err := onlyRoot("log others in; use sudo"); err != nil {
		return err
	}
	p, err := loadServices(o.services)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	signals := []os.Signal{unix.SIGTERM, unix.SIGHUP}
	if o.command != "" {
		signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGQUIT) // check passes them on to the command
	} else {
		signals = append(signals, unix.SIGINT)
	}
	ctx, stop := signal.NotifyContext(c.Context(), signals...)
	defer stop()
	k := checker{checkOptions: o, policy: p, out: c.OutOrStdout(), errors: c.ErrOrStderr()}
	if k.series, err = trial.Begin(o.wanted()); err != nil {
		return err
	}
	if o.isDetailed(args) {
		err = k.user(ctx, args[0])
	} else {
		err = k.matrix(ctx, args)
	}
	return errors.Join(err, k.end(ctx))
}

const defaultService = "sshd"

// addService gives a command that follows a service's stack the option --service.
func addService(c *cobra.Command, service *string) {
	c.Flags().StringVar(service, "service", "sshd", "follow the PAM stack of `SERVICE`")
	_ = c.RegisterFlagCompletionFunc("service", completeService) // it fails if there is no such option
}

// loadService reads the policy of this machine. It returns an error if that does not have the service.
func loadService(service string) (*policy.Policy, error) { return loadServices([]string{service}) }

// loadServices is loadService for a number of services.
func loadServices(services []string) (*policy.Policy, error) {
	p, err := policy.Load("/", policy.Live())
	if err != nil {
		return nil, err
	}
	for _, service := range services {
		if !slices.Contains(p.Stacks.Services(), service) {
			return nil, fmt.Errorf("no service %q exists: name a file of /etc/pam.d or /usr/lib/pam.d by --service", service)
		}
	}
	return p, nil
}

type checker struct {
	checkOptions
	policy      *policy.Policy
	series      *trial.Series
	out, errors io.Writer
}

// user checks a user, and runs the command in the session.
func (k checker) user(ctx context.Context, user string) (err error) {
	service := defaultService
	if len(k.services) > 0 {
		service = k.services[0]
	}
	login, r, err := k.open(ctx, user, service, k.command != "" && !*k.asJSON)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, login.Close()) }()
	result := checked{Report: r}
	if !*k.asJSON {
		if err := printReport(k.out, r); err != nil {
			return err
		}
	}
	var ended error
	if k.command != "" && r.Outcome != policy.Refused {
		ran, err := login.Run(k.command)
		if err != nil {
			return err
		}
		result.Run = &ran
		if ran.ExitCode != 0 {
			ended = exitCode(ran.ExitCode)
		}
	}
	if *k.asJSON {
		if err := printObject(k.out, result); err != nil {
			return err
		}
	}
	if len(r.Problems) > 0 {
		return fmt.Errorf("%s: %s", user, strings.Join(r.Problems, "; "))
	}
	return ended
}

func (k checker) open(ctx context.Context, user, service string, terminal bool) (*trial.Login, trial.Report, error) {
	d := k.policy.Decide(service, user)
	login, err := k.series.Open(ctx, user, service, terminal)
	if ctx.Err() != nil {
		err = errors.Join(errInterrupted, err)
	}
	if err != nil {
		return nil, trial.Report{}, err
	}
	r := login.Report(user, service, d)
	if why := doctor.WhyNoLogin("/", k.policy, service); why != "" {
		r.Problems = append(r.Problems, fmt.Sprintf("nobody logs in through %s: %s", service, why))
	}
	return login, r, nil
}

var errInterrupted = errors.New("interrupted")

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
			why = reason(r)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.0f\t%s\n", r.User, r.Outcome, orDash(r.Module), orDash(network), r.Milliseconds, orDash(why))
	}
	return t.Flush()
}

// reason returns why a login is refused: the module's words, and those of its setup program.
func reason(r trial.Report) string {
	words := []string{r.Why}
	for _, l := range r.SetupLines() {
		words = append(words, l.Text)
	}
	return strings.Join(words, "; ")
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
	for _, l := range r.SetupLines() {
		line("why", l.Text)
	}
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
	printNet(line, r)
	for _, l := range r.Log {
		if l.Priority <= int(syslog.LOG_WARNING) && l.Text != r.Why {
			line("log", l.Module+": "+l.Text)
		}
	}
	line("time", fmt.Sprintf("%.0f ms", r.Milliseconds))
	line("problem", r.Problems...)
	return t.Flush()
}

// printNet prints what the session reaches, and which ways remain open.
func printNet(line func(key string, values ...string), r trial.Report) {
	for _, p := range r.Probes {
		key := "not reached"
		if p.Reached {
			key = "reached"
		}
		line(key, fmt.Sprintf("%s (%s)", p, p.Why))
	}
	if r.Open == nil {
		return
	}
	for _, w := range r.Open.Ways {
		if w.Open {
			line("open", fmt.Sprintf("%s (%s)", w.What, some(w.Evidence)))
		}
	}
	line("exposure", fmt.Sprintf("%.1f of 10", r.Open.Exposure))
}
