// SPDX-License-Identifier: GPL-2.0-or-later

package pam_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// The kinds of pam/module.h.
const newnet, usernet, groupnet = "0", "1", "2"

func TestOptions(t *testing.T) {
	program := compileProgram(t, "options", "options.c")
	masks := make([]string, 65)
	for i := range masks {
		masks[i] = fmt.Sprintf("mask=/%d", i)
	}
	for _, c := range []struct {
		what string
		args []string // of pam_newnet
		want string
	}{
		{"none", nil, "group=default timeout=10"},
		{
			"all",
			[]string{"debug", "lodown", "rootshared", "shownetns", "keepresolver", "selfmanaged", "refusal=empty", "group=g", "timeout=1", "mask=/a", "mask=/b c"},
			"group=g timeout=1 debug lodown rootshared shownetns keepresolver selfmanaged refusal=empty mask=/a mask=/b c",
		},
		{"the last of several counts", []string{"group=a", "timeout=1", "group=b=c", "timeout=3600"}, "group=b=c timeout=3600"},
		{"one that is unknown is skipped", []string{"no_such", "debug"}, "no_such: no such argument\ngroup=default timeout=10 debug"},
		{"one that has another's beginning is unknown", []string{"debugx", "lo", "groups=x"}, `debugx: no such argument
lo: no such argument
groups=x: no such argument
group=default timeout=10`},
		{"capitals count", []string{"Debug", "GROUP=x"}, "Debug: no such argument\nGROUP=x: no such argument\ngroup=default timeout=10"},
		{"a flag has no value", []string{"debug=1", "lodown="}, "debug=1: no such argument\nlodown=: no such argument\ngroup=default timeout=10"},
		{"a refusal that is no empty network", []string{"refusal=", "refusal=Empty", "refusal"}, `refusal=: only refusal=empty is supported
refusal=Empty: only refusal=empty is supported
refusal: no such argument
group=default timeout=10`},
		{"the others need one", []string{"group", "timeout", "mask"}, "group: no such argument\ntimeout: no such argument\nmask: no such argument\ngroup=default timeout=10"},
		{"an empty group", []string{"group=x", "group="}, "group=: group= must name a group\ngroup=x timeout=10"},
		{"an empty argument", []string{""}, ": no such argument\ngroup=default timeout=10"},
		{"a mask that is no absolute path", []string{"mask=", "mask=run/x"}, "mask=: mask= must be an absolute path\nmask=run/x: mask= must be an absolute path\ngroup=default timeout=10"},
		{"64 masks", masks[:64], "group=default timeout=10 " + strings.Join(masks[:64], " ")},
		{"65 masks", masks, "mask=/64: at most 64 mask= arguments are allowed\ngroup=default timeout=10 " + strings.Join(masks[:64], " ")},
		{"what printf would expand", []string{"%s%n", "group=%s%n", "mask=/%n"}, "%s%n: no such argument\ngroup=%s%n timeout=10 mask=/%n"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := output(t, exec.Command(program, append([]string{newnet}, c.args...)...)); got != c.want {
				t.Errorf("%s\nand not\n%s", got, c.want)
			}
		})
	}
	for _, c := range []struct{ what, kind, arg, want string }{
		{"a setup program", usernet, "setup=/x y", "group=default timeout=10 setup=/x y"},
		{"one that is for the core to refuse", groupnet, "setup=", "group=default timeout=10 setup="},
		{
			"there is none for a network without a name", newnet, "setup=/x",
			"setup=/x: not supported by pam_newnet\ngroup=default timeout=10",
		},
		{"a user manages a named network, too", usernet, "selfmanaged", "group=default timeout=10 selfmanaged"},
		{
			"but not a group's", groupnet, "selfmanaged",
			"selfmanaged: not supported by pam_groupnet\ngroup=default timeout=10",
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := output(t, exec.Command(program, c.kind, c.arg)); got != c.want {
				t.Errorf("%s\nand not\n%s", got, c.want)
			}
		})
	}
	for _, timeout := range []string{
		"", "0", "-1", "+1", " 1", "1 ", "1s", "0x10", "1.5", "3601", "18446744073709551617", "99999999999999999999999", "ten",
	} {
		t.Run(fmt.Sprintf("the timeout %q is skipped", timeout), func(t *testing.T) {
			want := "timeout=" + timeout + ": timeout= must be whole seconds from 1 to 3600\ngroup=default timeout=10"
			if got := output(t, exec.Command(program, newnet, "timeout="+timeout)); got != want {
				t.Errorf("%s\nand not\n%s", got, want)
			}
		})
	}
}
