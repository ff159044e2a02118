// SPDX-License-Identifier: GPL-2.0-or-later

package shim

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The words of testdata/child.c, as arguments of the module.

// say is a datagram with these bytes, and with descriptors, a letter each.
func say(data, descriptors string) string {
	return word(hex.EncodeToString([]byte(data)) + ":" + descriptors)
}

// sayMore has n letters after the bytes.
func sayMore(data string, n int, descriptors string) string {
	return word(fmt.Sprintf("%x+%d:%s", data, n, descriptors))
}

func word(w string) string { return "mask=/" + w }

// The heads of messages, pam/wire.h.
const (
	isolated      = "VI\x00"
	isolatedMoved = "VI\x01"
	refused       = "VR\x00"
	unknownUser   = "VU\x00" // cannot be known to be a member
	logError      = "L\x03"
	logDebug      = "L\x07"
)

const (
	malformed = "the child's message is malformed"
	notMember = "the child has not said that the user is a member"
	noVerdict = "the child ended without a verdict"
	late      = "no verdict within 1 s"
	noAnswer  = "the child's answer is \"unknown\", or a second one"
	notInUse  = "the network may have been taken down meanwhile: its name is not in use any more"
	good      = "nmrc" // the right descriptors
)

func TestForgedVerdicts(t *testing.T) {
	tests := []struct {
		name    string
		session session
		reason  string // of the refusal
	}{
		{"no verdict: the child ends", session{args: []string{word("exit")}}, noVerdict},
		{"no verdict: the child is killed", session{args: []string{word("kill")}}, noVerdict},
		{"no verdict: the child hangs up and lives on", session{args: []string{word("hangup"), word("pause")}}, noVerdict},
		{"no verdict but lines for the log", session{args: []string{say(logError+"line", "")}}, noVerdict},
		{"silence until the deadline", session{args: []string{"timeout=1", word("pause")}}, late},
		{"a stopped child", session{args: []string{"timeout=1", word("stop")}}, late},
		{"a flood of lines for the log", session{args: []string{"timeout=1", word("flood")}}, late},

		{"an empty datagram", session{args: []string{say("", ""), say(isolated, good)}}, noVerdict},
		{"an empty datagram with descriptors", session{args: []string{say("", good)}}, malformed},
		{"one byte", session{args: []string{say("V", good)}}, malformed},
		{"two bytes", session{args: []string{say("VI", good)}}, malformed},
		{"one byte too long", session{args: []string{sayMore(isolated, 1022, good)}}, malformed},
		{"far too long", session{args: []string{sayMore(isolated, 90000, good)}}, malformed},
		{"an unknown message", session{args: []string{say("W\x00\x00text", "")}}, malformed},
		{"an unknown outcome", session{args: []string{say("VX\x00text", "")}}, malformed},
		{"an unknown outcome with descriptors", session{args: []string{say("VX\x00text", good)}}, malformed},
		{"neither moved nor not moved", session{args: []string{say("VI\x02text", good)}}, malformed},
		{"a line for the log without text", session{args: []string{say(logError, "")}}, malformed},
		{"a line for the log of an unknown priority", session{args: []string{say("L\x08line", "")}}, malformed},
		{"a line for the log with descriptors", session{args: []string{say(logError+"line", good)}}, malformed},
		{"a refusal with descriptors", session{args: []string{say(refused+"text", "n")}}, malformed},
		{"an unknown user with descriptors", session{args: []string{say(unknownUser+"text", "n")}}, malformed},
		{"a verdict that the user is a non-member", session{args: []string{say("VN\x00text", "")}}, malformed},
		{"an answer, where the login process has one", session{args: []string{say("Am--", ""), say(isolated, good)}}, noAnswer},
		{"an answer that a member is a non-member", session{args: []string{say("An--", ""), say(isolated, good)}}, noAnswer},
		{"an answer that is none, where the login process has one", session{args: []string{say("A---", "")}}, noAnswer},

		{"no descriptors", session{args: []string{say(isolated, "")}}, malformed},
		{"three descriptors", session{args: []string{say(isolated, "nmr")}}, malformed},
		{"five descriptors", session{args: []string{say(isolated, "nmrcn")}}, malformed},
		{"six descriptors", session{args: []string{say(isolated, "nmrcnm")}}, malformed},
		{"seven descriptors", session{args: []string{say(isolated, "nmrcnmr")}}, malformed},
		{"as many descriptors as can be sent", session{args: []string{say(isolated, strings.Repeat("c", 253))}}, malformed},
		{"the namespaces swapped", session{args: []string{say(isolated, "mnrc")}}, malformed},
		{"a uts namespace for the network namespace", session{args: []string{say(isolated, "Umrc")}}, malformed},
		{"a file for the network namespace", session{args: []string{say(isolated, "fmrc")}}, malformed},
		{"a device for the network namespace", session{args: []string{say(isolated, "zmrc")}}, malformed},
		{"a network namespace opened with O_PATH", session{args: []string{say(isolated, "Omrc")}}, malformed},
		{"a uts namespace for the mount namespace", session{args: []string{say(isolated, "nUrc")}}, malformed},
		{"a socket for the mount namespace", session{args: []string{say(isolated, "nsrc")}}, malformed},
		{"a directory for the mount namespace", session{args: []string{say(isolated, "nrrc")}}, malformed},
		{"a file for the root directory", session{args: []string{say(isolated, "nmfc")}}, malformed},
		{"a namespace for the working directory", session{args: []string{say(isolated, "nmrn")}}, malformed},

		{"the login's own network namespace", session{args: []string{say(isolated, "Nmrc")}}, "the network namespace is the host's"},
		{
			"the login's own network namespace, not the host's",
			session{args: []string{say(isolated, "Nmrc")}, front: inNetwork},
			"the network namespace is the one the login came from",
		},
		{
			"the host's network namespace, not the login's own",
			session{args: []string{say(isolated, "Pmrc")}, front: inNetwork},
			"the network namespace is the host's",
		},
		{
			"the host's network namespace for a named one",
			session{module: "usernet.so", args: []string{say(isolated, "Nmrc")}},
			"the network namespace is the host's",
		},
		{
			"the login's own mount namespace",
			session{args: []string{say(isolated, "nMRC")}},
			"the mount namespace is the one the login came from",
		},
		{"another root directory", session{args: []string{say(isolated, "nmdc")}}, "the root directory has changed"},
		{"another root, with the working directory in it", session{args: []string{say(isolatedMoved, "nmdd")}}, "the root directory has changed"},
		{"another working directory", session{args: []string{say(isolated, "nmrd")}}, "the working directory has changed"},
		{
			"the login's own root directory, outside the mount namespace",
			session{args: []string{say(isolated, "nmRc")}},
			"the root directory is not in the mount namespace",
		},
		{
			"the login's own root and working directory, outside the mount namespace",
			session{args: []string{say(isolated, "nmRC")}},
			"the root directory is not in the mount namespace",
		},
		{
			"a working directory that has moved out of the mount namespace",
			session{args: []string{say(isolatedMoved, "nmrC")}},
			"the working directory is not in the mount namespace",
		},
		{
			"the login's own working directory, outside the mount namespace",
			session{args: []string{say(isolated, "nmrC")}},
			"the working directory is not in the mount namespace",
		},
		{
			"a working directory of another mount namespace that has not moved",
			session{args: []string{say(isolated, good)}, front: inOtherMounts},
			"the working directory is not in the mount namespace",
		},
		{
			"a named network whose child ends before the login process has moved",
			session{module: "usernet.so", args: []string{say(isolated, good)}},
			notInUse,
		},
		{
			"a named network whose child has hung up",
			session{module: "usernet.so", args: []string{say(isolated, good), word("hangup"), word("pause")}},
			notInUse,
		},
		{
			"a named network whose child does not answer",
			session{module: "usernet.so", args: []string{say(isolated, good), word("stop")}},
			notInUse,
		},
		{
			"a named network whose child answers something else",
			session{module: "usernet.so", args: []string{say(isolated, good), say("X", ""), word("pause")}},
			notInUse,
		},
	}
	onEachHost(t, func(t *testing.T, m machine, h *host) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				o := m.open(t, h, test.session)
				o.refused(t, test.reason)
				if h == hosts[0] && o.took > 8*time.Second {
					t.Errorf("took %v", o.took)
				}
			})
		}
	})
}

// withDirectory makes a machine on which the child has to find out who is a member.
func (m machine) withDirectory(t *testing.T) {
	t.Helper()
	m.sources(t, "files directory")
}

func TestForgedAnswers(t *testing.T) {
	tests := []struct {
		name    string
		session session
		reason  string // of the refusal
	}{
		{"no answer: the child ends", session{args: []string{word("exit")}}, noVerdict},
		{"no answer but lines for the log", session{args: []string{say(logError+"line", "")}}, noVerdict},
		{"no answer until the deadline", session{args: []string{"timeout=1", word("pause")}}, late},
		{"isolated without an answer", session{args: []string{say(isolated, good)}}, notMember},
		{"isolated before the answer", session{args: []string{say(isolated, good), say("Am--", "")}}, notMember},
		{"a member, and no verdict", session{args: []string{say("Am--", "")}}, noVerdict},
		{"a member, and no verdict until the deadline", session{args: []string{"timeout=1", say("Am--", ""), word("pause")}}, late},
		{"a member, unknown afterwards", session{args: []string{say("Am--", ""), say(unknownUser+"why", "")}}, "why"},
		{"a member of the login's own network", session{args: []string{say("Am--", ""), say(isolated, "Nmrc")}}, "the network namespace is the host's"},
		{"two answers", session{args: []string{say("Am--", ""), say("Am--", ""), say(isolated, good)}}, noAnswer},
		{"a member, a non-member afterwards", session{args: []string{say("Am--", ""), say("An--", "")}}, noAnswer},
		{"an answer to everything but the question", session{args: []string{say("A-nn", "")}}, noAnswer},
		{"an answer to the question of another module", session{module: "usernet.so", args: []string{say("An--", "")}}, noAnswer},
		{"an answer with descriptors", session{args: []string{say("An--", good)}}, malformed},
		{"an answer with a descriptor", session{args: []string{say("An--", "n")}}, malformed},
		{"an answer of one byte", session{args: []string{say("A", "")}}, malformed},
		{"an answer too short", session{args: []string{say("Ann", "")}}, malformed},
		{"an answer too long", session{args: []string{say("Annnn", "")}}, malformed},
		{"an answer far too long", session{args: []string{sayMore("Annn", 2000, "")}}, malformed},
		{"an answer of unknown bytes", session{args: []string{say("Axxx", "")}}, malformed},
		{"an answer with an unknown byte for another module", session{args: []string{say("Anxn", "")}}, malformed},
		{"an answer of zeros", session{args: []string{say("A\x00\x00\x00", "")}}, malformed},
	}
	onEachHost(t, func(t *testing.T, m machine, h *host) {
		m.withDirectory(t)
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				m.open(t, h, test.session).refused(t, test.reason)
			})
		}
	})
}

func TestGoodAnswers(t *testing.T) {
	letIn := func(o outcome, t *testing.T) {
		t.Helper()
		o.ended(t, "PAM_SUCCESS") // pam_permit's
		if o.log != "" {
			t.Errorf("logged: %s", o.log)
		}
	}
	tests := []struct {
		name    string
		session session
		check   func(o outcome, t *testing.T)
	}{
		{"a member, isolated", session{args: []string{say("Am--", ""), say(isolated, good)}}, outcome.isolated},
		{"a member, a non-member of the others", session{args: []string{say("Amng", ""), say(isolated, good)}}, outcome.isolated},
		{"a member by another question", session{module: "usernet.so", args: []string{say("A-m-", ""), say(isolated, good), word("serve")}}, outcome.isolated},
		{"lines for the log around it", session{args: []string{say(logError+"a", ""), say("Am--", ""), say(logError+"b", ""), say(isolated, good)}}, outcome.isolated},
		{"a member, refused", session{args: []string{say("Am--", ""), say(refused+"no", "")}}, func(o outcome, t *testing.T) { o.refused(t, "no") }},
		{"unknown", session{args: []string{say(unknownUser+"down", "")}}, func(o outcome, t *testing.T) { o.refused(t, "down") }},
		{"a non-member", session{args: []string{say("An--", "")}}, letIn},
		{"a non-member by another question", session{module: "usernet.so", args: []string{say("A-n-", "")}}, letIn},
		{"a non-member, isolated all the same", session{args: []string{say("An--", ""), say(isolated, good)}}, letIn},
		{"a non-member, the child stopped", session{args: []string{say("An--", ""), word("stop")}}, letIn},
		{"no group", session{args: []string{say("Ag--", "")}}, func(o outcome, t *testing.T) {
			o.ended(t, "PAM_SUCCESS")
			o.logged(t, `group "members" does not exist, so nobody is a member`, 1)
		}},
	}
	onEachHost(t, func(t *testing.T, m machine, h *host) {
		m.withDirectory(t)
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				test.check(m.open(t, h, test.session), t)
			})
		}
	})
}

// inNetwork is in front of a host that is not in process 1's network namespace.
var inNetwork = []string{"unshare", "--net"}

// inOtherMounts is in front of a host whose working directory is in a mount namespace of its own.
var inOtherMounts = []string{"unshare", "--mount", "nsenter", "--mount=/proc/1/ns/mnt", "--wd=/usr"}
