// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"fmt"
	"os"
	"testing"

	"libpam-net/test/expect"
)

// Lines of /proc/net/tcp and tcp6: a listening socket, and connections from 192.0.2.7, ::ffff:192.0.2.8 and 2001:db8::1.
const (
	tcp4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 500 1 x 100 0 0 10 0\n" +
		"   1: 010200C0:0016 070200C0:D431 01 00000000:00000000 00:00000000 00000000     0        0 501 1 x 100 0 0 10 0\n"
	tcp6 = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0000000000000000FFFF0000010200C0:0016 0000000000000000FFFF0000080200C0:D431 01 00000000:00000000 00:00000000 00000000     0        0 502 1 x 100 0 0 10 0\n" +
		"   1: B80D0120000000000000000001000000:0016 B80D0120000000000000000001000000:D431 01 00000000:00000000 00:00000000 00000000     0        0 503 1 x 100 0 0 10 0\n"
)

func TestUsersOfSSHDComeFromTheOtherEndOfItsConnection(t *testing.T) {
	t.Parallel()
	dir := procTree(t, `11 1 0 5 sshd
		12 1 0 5 sshd
		13 1 0 5 sshd
		14 1 0 5 sshd
		15 1 4000001 5 sh
		16 1 0 5 su`)
	expect.Check(t, os.Mkdir(dir+"/1/net", 0o755))
	expect.Check(t, os.WriteFile(dir+"/1/net/tcp", []byte(tcp4), 0o644))
	for i, socket := range []string{"501", "502", "503", "500", "501", "501"} {
		files := fmt.Sprintf("%s/%d/fd", dir, 11+i)
		expect.Check(t, os.Mkdir(files, 0o755))
		expect.Check(t, os.Symlink("/dev/null", files+"/0"))
		expect.Check(t, os.Symlink("socket:[7]", files+"/1"))
		expect.Check(t, os.Symlink("socket:["+socket+"]", files+"/4"))
	}
	find := func() string {
		all := []Session{
			{Service: "sshd", Leader: 11},
			{Service: "sshd", Leader: 12},
			{Service: "sshd", Leader: 13},
			{Service: "sshd", Leader: 14},
			{Service: "sshd", Leader: 15},
			{Service: "su", Leader: 16},
			{Service: "sshd", Leader: 17},
		}
		expect.Check(t, findOrigins(dir, all))
		text := ""
		for _, s := range all {
			text += fmt.Sprintf("%d%q ", s.Leader, s.From)
		}
		return text
	}
	expect.Equal(t, "where they came from, without IPv6", find(), `11"192.0.2.7" 12"" 13"" 14"" 15"" 16"" 17"" `)
	expect.Check(t, os.WriteFile(dir+"/1/net/tcp6", []byte(tcp6), 0o644))
	expect.Equal(t, "where they came from", find(), `11"192.0.2.7" 12"192.0.2.8" 13"2001:db8::1" 14"" 15"" 16"" 17"" `)
}
