// SPDX-License-Identifier: GPL-2.0-or-later

package pamstack

import (
	"errors"
	"slices"
	"strings"
)

// Code is a return code of a module, by its name in controls: "success", "perm_denied".
type Code string

// The codes that other packages use.
const (
	Success Code = "success"
	Ignore  Code = "ignore"
	Abort   Code = "abort"
	Denied  Code = "auth_err"
	Failed  Code = "session_err"
	Unknown Code = "module_unknown" // the module does not exist
)

// mustFail is libpam's return code where no module of a stack decides.
const mustFail Code = "perm_denied"

// codes are all codes, in libpam's order.
var codes = []Code{
	Success, "open_err", "symbol_err", "service_err", "system_err", "buf_err", mustFail, Denied, "cred_insufficient",
	"authinfo_unavail", "user_unknown", "maxtries", "new_authtok_reqd", "acct_expired", Failed, "cred_unavail",
	"cred_expired", "cred_err", "no_module_data", "conv_err", "authtok_err", "authtok_recover_err", "authtok_lock_busy",
	"authtok_disable_aging", "try_again", Ignore, Abort, "authtok_expired", Unknown, "bad_item", "conv_again",
	"incomplete",
}

// action is what libpam does with a return code: it jumps over this many lines, or does one of the following.
type action int

const (
	ignore action = -iota
	ok
	done
	bad
	die
	reset
)

var actionNames = []string{"ignore", "ok", "done", "bad", "die", "reset"} // by -action

// actions are the actions of a line, by code; other is for all other codes.
type actions struct {
	of    map[Code]action
	other action
}

func (a actions) on(code Code) action {
	if act, ok := a.of[code]; ok {
		return act
	}
	return a.other
}

var required = actions{map[Code]action{Success: ok, "new_authtok_reqd": ok, Ignore: ignore}, bad}

var keywords = map[string]actions{
	"required":   required,
	"requisite":  {required.of, die},
	"optional":   {map[Code]action{Success: ok, "new_authtok_reqd": ok}, ignore},
	"sufficient": {map[Code]action{Success: done, "new_authtok_reqd": done}, ignore},
}

// parseActions parses a control in brackets as libpam does: names are recognised by their beginnings, and
// later ones override earlier ones. "default" is for the codes without an action so far. In a control with an
// error all is bad.
func parseActions(control string) (actions, error) {
	a := actions{map[Code]action{}, bad}
	const space = " \t\n\v\f\r"
	rest := strings.TrimLeft(control, space)
	for rest != "" {
		code := ""
		for _, name := range append(slices.Clone(codes), "default") {
			if strings.HasPrefix(rest, string(name)) {
				code = string(name)
				break
			}
		}
		rest = strings.TrimLeft(strings.TrimPrefix(rest, code), space)
		if code == "" {
			return actions{other: bad}, errors.New("has no return code at \"" + rest + "\"")
		}
		if rest == "" || rest[0] != '=' {
			return actions{other: bad}, errors.New("has no equals sign behind \"" + code + "\"")
		}
		rest = strings.TrimLeft(rest[1:], space)
		act, length := parseAction(rest)
		if length == 0 {
			return actions{other: bad}, errors.New("has no action for \"" + code + "\"")
		}
		rest = strings.TrimLeft(rest[length:], space)
		if code != "default" {
			a.of[Code(code)] = act
			continue
		}
		for _, c := range codes {
			if _, set := a.of[c]; !set {
				a.of[c] = act
			}
		}
	}
	return a, nil
}

// parseAction returns the action at the beginning of a text and its length, 0 if there is none.
func parseAction(text string) (action, int) {
	for i, name := range actionNames {
		if strings.HasPrefix(text, name) {
			return -action(i), len(name)
		}
	}
	jump, i := action(0), 0
	for ; i < len(text) && '0' <= text[i] && text[i] <= '9'; i++ {
		jump = min(jump*10+action(text[i]-'0'), 1<<20)
	}
	if jump == 0 {
		return 0, 0
	}
	return jump, i
}

// Follow simulates a stack as libpam runs it, with the return code of each line's module. It returns the code
// of the stack, and of each line whether its module is called.
func Follow(stack []Line, returns func(i int) Code) (code Code, asked []bool) {
	type state struct {
		decided bool // a module's code counts
		bad     bool
		code    Code
	}
	now := state{code: mustFail}
	before := map[int]state{0: now} // a substack, by level
	asked = make([]bool, len(stack))
	level := 0 // of the line before
	for i := 0; i < len(stack); i++ {
		l := stack[i]
		if level < l.Level {
			before[l.Level] = now
		}
		level = l.Level
		if l.Begins() {
			continue
		}
		asked[i] = true
		got := mustFail
		if l.Module != "" {
			got = returns(i)
		}
		end := false
		switch act := l.actions.on(got); act {
		case ignore:
		case reset:
			now = before[level]
		case ok, done:
			if !now.decided || !now.bad && now.code == Success {
				now.decided, now.code = true, got
			}
			end = act == done && now.decided && !now.bad
		case bad, die:
			if !now.decided || !now.bad {
				now = state{decided: true, bad: true, code: got}
				if got == Ignore {
					now.code = mustFail
				}
			}
			end = act == die
		default:
			for ; act > 0 && i+1 < len(stack) && stack[i+1].Level >= level; act-- {
				for i++; i+1 < len(stack) && stack[i+1].Level > level; i++ { // a substack counts once
				}
			}
			if act > 0 {
				now = state{decided: true, bad: true, code: mustFail}
			}
		}
		if end {
			for i+1 < len(stack) && stack[i+1].Level >= level {
				i++
			}
		}
	}
	if now.code == Success && (!now.decided || now.bad) {
		now.code = mustFail
	}
	return now.code, asked
}
