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
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"libpam-net/internal/pamstack"
	"libpam-net/internal/policy"
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
		Short: "Log a user in, to see what a login gets (root)",
		Long: "Open a session of USER's through the PAM stack of a service, in a process that is thrown away, and tell what it\n" +
			"gets. Nobody else notices, and nothing stays. Exit code 1: it is not what the user's groups say.",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case all == (len(args) == 1) || len(args) > 1:
				return errors.New("say either a user or --all-members")
			case all && command != "":
				return errors.New("--run is for one user")
			}
			return nil
		},
	}
	asJSON := addJSON(c)
	addService(c, &service)
	c.ValidArgsFunction = completeMember(&service)
	c.Flags().StringVar(&command, "run", "", "run `COMMAND` there, as the user; the exit code is the command's")
	c.Flags().BoolVar(&all, "all-members", false, "do it for every member of the modules' groups, a line for each")
	c.RunE = func(c *cobra.Command, args []string) error {
		if os.Geteuid() != 0 {
			return errors.New("check: only root can log others in: use sudo")
		}
		conf, err := loadService(service)
		if err != nil {
			return err
		}
		k := checker{policy: policy.PolicyOf(conf, service), service: service, out: c.OutOrStdout(), errors: c.ErrOrStderr(), asJSON: *asJSON}
		runtime.LockOSThread()
		signals := []os.Signal{unix.SIGTERM, unix.SIGHUP}
		if command != "" {
			signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGQUIT) // check passes them on to the command
		} else {
			signals = append(signals, unix.SIGINT)
		}
		ctx, stop := signal.NotifyContext(c.Context(), signals...)
		defer stop()
		if all {
			return k.members(ctx)
		}
		return k.user(ctx, args[0], command)
	}
	return c
}

// addService gives a command that goes by a service's stack the option --service.
func addService(c *cobra.Command, service *string) {
	c.Flags().StringVar(service, "service", "sshd", "go by the PAM stack of `SERVICE`")
	_ = c.RegisterFlagCompletionFunc("service", completeService) // it fails if there is no such option
}

// loadService reads the PAM configuration, in which the service has to be.
func loadService(service string) (*pamstack.Config, error) {
	conf, err := pamstack.Load("/")
	if err != nil {
		return nil, fmt.Errorf("read the PAM configuration: %w", err)
	}
	if !slices.Contains(conf.Services(), service) {
		return nil, fmt.Errorf("there is no service %q: /etc/pam.d and /usr/lib/pam.d have a file for each (--service=SERVICE)", service)
	}
	return conf, nil
}

type checker struct {
	policy      policy.Policy
	service     string
	out, errors io.Writer
	asJSON      bool
}

// user checks one, and runs a command there if there is one.
func (k checker) user(ctx context.Context, user, command string) (err error) {
	login, r, err := k.open(ctx, user, command != "" && !k.asJSON)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.close(login)) }()
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
		return fmt.Errorf("check: %s does not get what the groups say: %s", user, strings.Join(r.Problems, "; "))
	}
	return ended
}

// members checks everybody whom the service's rules concern.
func (k checker) members(ctx context.Context) error {
	var reports []trial.Report
	problems := 0
	t := tabwriter.NewWriter(k.out, 0, 0, 2, ' ', 0)
	if !k.asJSON {
		fmt.Fprintln(t, "USER\tOUTCOME\tMODULE\tNETWORK\tMS\tPROBLEMS")
	}
	for _, user := range k.policy.Members() {
		login, r, err := k.open(ctx, user, false)
		if err == nil {
			err = k.close(login)
		}
		if err != nil {
			return fmt.Errorf("check %s: %w", user, err)
		}
		if len(r.Problems) > 0 {
			problems++
		}
		reports = append(reports, r)
		if !k.asJSON {
			why := strings.Join(r.Problems, "; ")
			if r.Outcome == policy.Refused {
				why = r.Why
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.0f\t%s\n", user, r.Outcome, orDash(r.Module), networkOf(r), r.Milliseconds, orDash(why))
		}
	}
	var err error
	if k.asJSON {
		err = printJSON(k.out, reports)
	} else {
		err = t.Flush()
	}
	if err == nil && problems > 0 {
		err = fmt.Errorf("check: users who do not get what the groups say: %d", problems)
	}
	return err
}

func networkOf(r trial.Report) string {
	switch {
	case r.Network == nil:
		return "-"
	case r.Network.Name != "":
		return r.Network.Name
	default:
		return fmt.Sprintf("net:[%d]", r.Network.Inode)
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (k checker) open(ctx context.Context, user string, terminal bool) (*trial.Login, trial.Report, error) {
	d := k.policy.Decide(user)
	login, err := trial.Open(ctx, user, k.service, terminal)
	if ctx.Err() != nil {
		err = errors.Join(errors.New("interrupted"), err)
	}
	if err != nil {
		return nil, trial.Report{}, err
	}
	return login, login.Report(user, k.service, d), nil
}

// close says on stderr what could not be taken down.
func (k checker) close(login *trial.Login) error {
	stays, err := login.Close()
	for _, p := range stays {
		fmt.Fprintf(k.errors, "pamnetctl: the network %q that this check has made stays: %s\n", p.Name, p.Why)
	}
	return err
}

// printReport prints a line for each thing that there is.
func printReport(w io.Writer, r trial.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	last := ""
	line := func(key string, values ...string) {
		for _, value := range values {
			shown := key
			if key == last {
				shown = ""
			}
			last = key
			fmt.Fprintf(t, "  %s\t%s\n", shown, plain(value))
		}
	}
	outcome := map[policy.Outcome]string{
		policy.Isolated: "isolated", policy.Refused: "refused", policy.Host: "let into the host's network",
	}[r.Outcome]
	fmt.Fprintf(w, "%s through %s: %s\n", r.User, r.Service, outcome)
	line("module", nonEmpty(r.Module)...)
	line("why", nonEmpty(r.Why)...)
	if n := r.Network; n != nil {
		network := fmt.Sprintf("net:[%d]", n.Inode)
		if n.Name != "" {
			network += fmt.Sprintf(" %q", n.Name)
		}
		if n.Created {
			network += ", made by this check, and gone with it"
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
		line("stands in", r.StandIns...)
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

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
