// SPDX-License-Identifier: GPL-2.0-or-later

package pamstack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/msteinert/pam/v2"

	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// TestLikeLibpam lets libpam itself go through stacks made at random of pam_debug,
// which returns what it is told, and says so.
func TestLikeLibpam(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	action := func() string { return pick("ok", "ignore", "bad", "die", "done", "reset", "1", "2", "3") }
	control := func() string {
		switch random.IntN(6) {
		case 0:
			return pick("REQUIRED", "[ required]", "[requisite]", "requird", "[success=1 dfault=ignore]")
		case 1:
			code := func() string { return pick("success", "ignore", "abort", "auth_err", "new_authtok_reqd") }
			return fmt.Sprintf("[%s=%s %s=%s default=%s %s=%s]", code(), action(), code(), action(), action(), code(), action())
		case 2:
			return fmt.Sprintf("[ default = %s ]", action())
		default:
			return pick("required", "requisite", "sufficient", "optional")
		}
	}
	line := func(file string, number int) string {
		if file != "deep" && random.IntN(5) == 0 {
			return pick("@include deep", "session include deep", "session substack deep", "session substack nosuch", "session include nosuch")
		}
		if file == "svc" && random.IntN(3) == 0 {
			return pick("@include mid", "session include mid", "session substack mid", "session substack mid", "sessio what")
		}
		return fmt.Sprintf("%ssession %s pam_debug.so open_session=%s [ in %s, %d ]", pick("", "", "-"), control(),
			pick("success", "success", "success", "ignore", "abort", "auth_err", "new_authtok_reqd"), file, number)
	}
	for round := range 200 {
		files := map[string]string{"svc": "", "mid": "", "deep": "", "other": "session optional pam_debug.so open_session=try_again\n"}
		for _, file := range []string{"svc", "mid", "deep"} {
			for number := range random.IntN(6) {
				files[file] += line(file, number) + pick("\n", "\n", " # no \\\n", "\\\n\n # no\n a\\\\b\n")
			}
		}
		for name, content := range files {
			expect.Check(t, os.WriteFile("/etc/pam.d/"+name, []byte(content), 0o644))
		}
		config, err := Load("/")
		expect.Check(t, err)
		var want []string
		stack := config.Stack("svc", Session)
		code, asked := Follow(stack, func(i int) Code {
			return Code(strings.TrimPrefix(stack[i].Args[0], "open_session="))
		})
		for i, l := range stack {
			if asked[i] && l.Module != "" {
				want = append(want, l.Args[0])
			}
		}
		gotCode, got := openSession(t)
		if gotCode != code || !slices.Equal(got, want) {
			t.Fatalf("round %d:\n%q\nlibpam: %s %q\nhere: %s %q\n%s", round, files, gotCode, got, code, want, show(stack))
		}
	}
}

// openSession lets libpam open a session through "svc".
func openSession(t *testing.T) (code Code, said []string) {
	t.Helper()
	tx, err := pam.StartFunc("svc", "root", func(_ pam.Style, message string) (string, error) {
		said = append(said, message)
		return "", nil
	})
	expect.Check(t, err)
	err = tx.OpenSession(0)
	failure := pam.Error(0)
	if err != nil && !errors.As(err, &failure) {
		t.Fatal(err)
	}
	expect.Check(t, tx.End())
	return codes[failure], said
}
