// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The man page has an item for each key, and for no other.
func TestEveryKeyIsInTheManPage(t *testing.T) {
	page, err := os.ReadFile("../../../man/pamnet-uplink.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, item := range regexp.MustCompile(`(?m)^\.It Cm (\S+)`).FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, item[1])
	}
	slices.Sort(documented)
	documented = slices.Compact(documented)
	keys := keys(reflect.TypeFor[file]())
	slices.Sort(keys)
	if keys = slices.Compact(keys); !slices.Equal(documented, keys) {
		t.Errorf("the man page has %q, there are %q", documented, keys)
	}
	for _, table := range []string{"[ipv4]", "[ipv6]", "[[range]]", "[[snat]]", "[[forward]]"} {
		if !strings.Contains(string(page), table) {
			t.Errorf("the man page does not name %s", table)
		}
	}
}

// keys are those of a table and of the tables in it.
func keys(table reflect.Type) []string {
	var all []string
	for i := range table.NumField() {
		field := table.Field(i)
		kind := field.Type
		if kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		if kind.Kind() == reflect.Struct {
			all = append(all, keys(kind)...)
		} else {
			all = append(all, field.Tag.Get("toml"))
		}
	}
	return all
}

// What the man page says is the default is one.
func TestTheDefaultsAreThoseOfTheManPage(t *testing.T) {
	page, err := os.ReadFile("../../../man/pamnet-uplink.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	d := defaults()
	for _, item := range []string{
		fmt.Sprintf("interface No = Qq %s", d.Interface),
		fmt.Sprintf("mtu No = %d", d.MTU),
		fmt.Sprintf("isolate No = %t", d.Isolate),
		fmt.Sprintf("inbound No = %t", d.Inbound),
		fmt.Sprintf("host_services No = %v", d.HostServices),
		fmt.Sprintf("metadata No = %t", d.Metadata),
		fmt.Sprintf("forwarding No = %t", d.Forwarding),
		fmt.Sprintf("gate No = %t", d.Gate),
		fmt.Sprintf("firewall No = Qq %s", d.Firewall),
		fmt.Sprintf("nameservers No = %v", d.Nameservers),
		fmt.Sprintf("group No = Qq %s", d.Group),
		fmt.Sprintf("first_uid No = %d", d.FirstUID),
		fmt.Sprintf("first_gid No = %d", d.FirstGID),
		fmt.Sprintf("addresses No = Qq %s", d.Addresses),
		fmt.Sprintf("enabled No = %t", d.IPv4.Enabled && d.IPv6.Enabled),
		fmt.Sprintf("users No = Qo %s Qc , Qq %s", d.IPv4.Users, d.IPv6.Users),
		fmt.Sprintf("groups No = Qo %s Qc , Qq %s", d.IPv4.Groups, d.IPv6.Groups),
		fmt.Sprintf("prefix_length No = %d , %d", d.IPv4.PrefixLength, d.IPv6.PrefixLength),
		fmt.Sprintf("nat No = %t", d.IPv4.NAT && d.IPv6.NAT),
		fmt.Sprintf("proxy_ndp No = %t", d.IPv6.ProxyNDP),
	} {
		if !strings.Contains(string(page), "\n.It Cm "+item+"\n") {
			t.Errorf("the man page does not say %q", item)
		}
	}
}

func TestEveryExampleOfTheManPageIsAWholeFile(t *testing.T) {
	page, err := os.ReadFile("../../../man/pamnet-uplink.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n.Sh EXAMPLES\n")
	examples := regexp.MustCompile(`(?s)\n\.Bd -literal -offset indent\n(.*?)\n\.Ed\n`).FindAllStringSubmatch(section, -1)
	if len(examples) < 2 {
		t.Fatalf("%d examples", len(examples))
	}
	var all string
	for _, example := range examples {
		all += "\n" + example[1]
		if _, err := Parse("example", []byte(example[1])); err != nil {
			t.Errorf("%s\n%v", example[1], err)
		}
	}
	for _, key := range keys(reflect.TypeFor[file]()) {
		if !strings.Contains(all, "\n"+key+" = ") {
			t.Errorf("no example has %q", key)
		}
	}
}
