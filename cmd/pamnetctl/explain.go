// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/policy"
	"libpam-net/internal/session"
)

// explained is what explain prints as JSON.
type explained struct {
	User     string          `json:"user"`
	Service  string          `json:"service"`
	Outcome  policy.Outcome  `json:"outcome"`
	Why      string          `json:"why"` // of a refusal
	Steps    []explainedStep `json:"steps"`
	Problems []string        `json:"problems"`
}

// explainedStep is a line of a module in the stack, or a module that has none.
type explainedStep struct {
	File       string   `json:"file"` // "" where the service has no line of the module
	Line       int      `json:"line"`
	Text       string   `json:"text"`
	Module     string   `json:"module"`
	Group      string   `json:"group"` // "groupnet-*" for all that begin so
	Complaints []string `json:"complaints"`
	Asked      bool     `json:"asked"`
	Member     string   `json:"member"`    // "yes", "no", "unknown"
	MemberBy   string   `json:"member_by"` // the group, "" for none
	Action     string   `json:"action"`
	Network    string   `json:"network"` // its name, "" for one without or none
	Decides    bool     `json:"decides"` // which network the user gets
}

func explainCommand() *cobra.Command {
	var service string
	c := &cobra.Command{
		Use:   "explain USER",
		Short: "Predict what a login would get, and why, without opening one",
		Long: `Follows the PAM stack of a service for USER, and prints what each line of the modules would do: whether
USER is a member of its group, and which network it would lead to. It opens no session. Other modules
are assumed to succeed.

Use it to find out which line decides. If a login differs from the prediction, or to see whether
something fails, use "pamnetctl check".`,
		Args: cobra.ExactArgs(1),
	}
	asJSON := addJSON(c)
	addService(c, &service)
	c.ValidArgsFunction = completeMember(&service)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := loadService(service)
		if err != nil {
			return err
		}
		if err := p.CheckUser(args[0]); err != nil {
			return err
		}
		e := explain(args[0], service, p.Decide(service, args[0]))
		if *asJSON {
			return printObject(c.OutOrStdout(), e)
		}
		return printExplained(c.OutOrStdout(), e)
	}
	return c
}

func explain(user, service string, d policy.Decision) explained {
	e := explained{User: user, Service: service, Outcome: d.Outcome, Why: d.Why, Steps: []explainedStep{}, Problems: []string{}}
	for i := range d.Steps {
		s := &d.Steps[i]
		x := explainedStep{
			Module: s.Name, Group: s.Groups(), Complaints: []string{}, Asked: s.Asked,
			Member:  map[session.State]string{session.Member: "yes", session.NonMember: "no", session.NoGroup: "no", session.Unknown: "unknown"}[s.State],
			Decides: d.Outcome == policy.Isolated && s == d.Network(),
		}
		for _, c := range s.Complaints {
			x.Complaints = append(x.Complaints, c.String())
		}
		if s.Line != nil {
			x.File, x.Line, x.Text = s.Line.File, s.Line.Number, text(s)
		}
		if s.State == session.Member {
			x.MemberBy = s.Group
		}
		if s.Isolates() {
			x.Network = s.Netns()
		}
		x.Action = action(s)
		e.Steps = append(e.Steps, x)
	}
	for _, s := range d.Holes() {
		if d.Outcome == policy.Host {
			e.Problems = append(e.Problems, fmt.Sprintf("a member of %q stays in the host's network: %s", s.Group, s.Missing()))
		}
	}
	return e
}

// text returns a line as it is written in pam.d: arguments with blanks have brackets.
func text(s *policy.Step) string {
	words := []string{s.Line.Type, s.Line.Control, s.Line.Module}
	for _, arg := range s.Line.Args {
		if strings.ContainsAny(arg, " \t]") {
			arg = "[" + strings.ReplaceAll(arg, "]", `\]`) + "]"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// action returns what the module would do.
func action(s *policy.Step) string {
	switch {
	case !s.Asked && s.Line != nil:
		return "does nothing: libpam skips this line"
	case s.Line == nil:
		return "is not called"
	case s.IsNonMember():
		return "passes"
	case s.State == session.Unknown && s.Root:
		return "lets root in, not isolated: cannot tell whether the user is a member: " + s.Problem
	case s.State == session.Unknown:
		return "refuses: cannot tell whether the user is a member: " + s.Problem
	case s.Kind == session.NewNet:
		return "creates a new network namespace" + owner(s)
	}
	name := s.Netns()
	if err := netns.CheckName(name); err != nil {
		return "refuses: " + err.Error()
	}
	if os.Geteuid() != 0 {
		return fmt.Sprintf("joins the network namespace %q, or creates it", name) // only root may look which
	}
	fd, err := netns.Open(name)
	switch {
	case err == nil:
		defer unix.Close(fd)
		return fmt.Sprintf("joins the network namespace %q (%s)", name, netns.ID(fd))
	case errors.Is(err, netns.ErrAbsent):
		what := fmt.Sprintf("creates the network namespace %q", name) + owner(s)
		if s.Request.Setup != nil {
			what += fmt.Sprintf(", and runs %s up %s", *s.Request.Setup, name)
		}
		return what
	default:
		return "refuses: " + err.Error()
	}
}

func owner(s *policy.Step) string {
	if s.Request.SelfManaged {
		return ", managed by the user"
	}
	return ""
}

func printExplained(w io.Writer, e explained) error {
	var b strings.Builder
	for _, s := range e.Steps {
		if s.File != "" {
			fmt.Fprintf(&b, "%s:%d: %s\n", s.File, s.Line, s.Text)
		} else {
			fmt.Fprintf(&b, "no line of %s\n", s.Module)
		}
		for _, c := range s.Complaints {
			fmt.Fprintf(&b, "  %s\n", c)
		}
		switch s.Member {
		case "yes":
			fmt.Fprintf(&b, "  %s is a member of %q\n", e.User, s.MemberBy)
		case "no":
			fmt.Fprintf(&b, "  %s is not a member of %s\n", e.User, s.Group)
		default:
			fmt.Fprintf(&b, "  %s may be a member of %s\n", e.User, s.Group)
		}
		if s.File != "" {
			fmt.Fprintf(&b, "  %s %s\n", s.Module, s.Action)
		}
	}
	fmt.Fprintf(&b, "%s through %s: ", e.User, e.Service)
	switch e.Outcome {
	case policy.Isolated:
		for _, s := range e.Steps {
			if s.Decides {
				fmt.Fprintf(&b, "isolated, by %s:%d\n", s.File, s.Line)
			}
		}
	case policy.Refused:
		fmt.Fprintf(&b, "refused: %s\n", e.Why)
	default:
		fmt.Fprint(&b, "in the host's network\n")
	}
	for _, h := range e.Problems {
		fmt.Fprintf(&b, "problem: %s\n", h)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
