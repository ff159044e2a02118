// SPDX-License-Identifier: GPL-2.0-or-later

// Package browser opens a page in Chromium, and asks what a reader sees.
package browser

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// Page is a page in a browser. Its methods fail the test.
type Page struct {
	t        *testing.T
	in       io.Writer
	out      *bufio.Reader
	session  string
	number   int
	Requests []string // for what is not in the page itself
}

// Open opens a file in a browser of its own, which has no network and runs no scripts of the page.
func Open(t *testing.T, file string) *Page {
	t.Helper()
	private.Needs(t, "chromium")
	dir := t.TempDir()
	theirIn, in, err := os.Pipe()
	expect.Check(t, err)
	out, theirOut, err := os.Pipe()
	expect.Check(t, err)
	chromium := exec.Command("chromium", "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--no-first-run", "--user-data-dir="+dir)
	chromium.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	chromium.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	chromium.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		chromium.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID
	}
	var said strings.Builder
	chromium.Stderr = &said
	expect.Check(t, chromium.Start())
	theirIn.Close()
	theirOut.Close()
	t.Cleanup(func() {
		_ = syscall.Kill(-chromium.Process.Pid, syscall.SIGKILL)
		_ = chromium.Wait()
		in.Close()
		out.Close()
		if t.Failed() {
			t.Logf("chromium: %s", said.String())
		}
	})
	p := &Page{t: t, in: in, out: bufio.NewReader(out)}
	target := p.call("Target.createTarget", map[string]any{"url": "about:blank"})
	p.session = p.call("Target.attachToTarget", map[string]any{"targetId": target["targetId"], "flatten": true})["sessionId"].(string)
	p.call("Page.enable", nil)
	p.call("Network.enable", nil)
	p.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})
	p.send("Page.navigate", map[string]any{"url": "file://" + file})
	p.await(func(m message) bool { return m.Method == "Page.loadEventFired" })
	return p
}

// Eval returns the value of an expression, which the browser's own tools compute in the page.
func (p *Page) Eval(expression string) any {
	p.t.Helper()
	result := p.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true})
	if result["exceptionDetails"] != nil {
		p.t.Fatalf("%s: %v", expression, result["exceptionDetails"])
	}
	return result["result"].(map[string]any)["value"]
}

// Resize gives the window a width.
func (p *Page) Resize(width int) {
	p.t.Helper()
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false})
}

// Print lays the page out as for paper.
func (p *Page) Print() {
	p.t.Helper()
	p.call("Emulation.setEmulatedMedia", map[string]any{"media": "print"})
}

// Roles returns how many things of each role a screen reader finds.
func (p *Page) Roles() map[string]int {
	p.t.Helper()
	roles := map[string]int{}
	for _, node := range p.call("Accessibility.getFullAXTree", nil)["nodes"].([]any) {
		node := node.(map[string]any)
		if role, ok := node["role"].(map[string]any); ok && node["ignored"] != true {
			roles[fmt.Sprint(role["value"])]++
		}
	}
	return roles
}

// message is one of the DevTools protocol.
type message struct {
	ID     int            `json:"id"`
	Method string         `json:"method"`
	Params map[string]any `json:"params"`
	Result map[string]any `json:"result"`
	Error  map[string]any `json:"error"`
}

func (p *Page) send(method string, params map[string]any) {
	p.t.Helper()
	p.number++
	text, err := json.Marshal(map[string]any{"id": p.number, "method": method, "params": params, "sessionId": p.session})
	if p.session == "" {
		text, err = json.Marshal(map[string]any{"id": p.number, "method": method, "params": params})
	}
	expect.Check(p.t, err)
	_, err = p.in.Write(append(text, 0))
	expect.Check(p.t, err)
}

// await returns the first message that is wanted. It notes requests meanwhile.
func (p *Page) await(wanted func(message) bool) message {
	p.t.Helper()
	for {
		text, err := p.out.ReadBytes(0)
		expect.Check(p.t, err)
		var m message
		expect.Check(p.t, json.Unmarshal(text[:len(text)-1], &m))
		if m.Method == "Network.requestWillBeSent" {
			p.Requests = append(p.Requests, fmt.Sprint(m.Params["request"].(map[string]any)["url"]))
		}
		if wanted(m) {
			return m
		}
	}
}

func (p *Page) call(method string, params map[string]any) map[string]any {
	p.t.Helper()
	p.send(method, params)
	m := p.await(func(m message) bool { return m.ID == p.number })
	if m.Error != nil {
		p.t.Fatalf("%s: %v", method, m.Error)
	}
	return m.Result
}
