// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestEveryMemberOfTheJSONIsInTheManPage(t *testing.T) {
	page, err := os.ReadFile("../../man/pamnet-uplink.8")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range []reflect.Type{reflect.TypeFor[Status](), reflect.TypeFor[Network](), reflect.TypeFor[PortNumber]()} {
		for i := range object.NumField() {
			if name, _, _ := strings.Cut(object.Field(i).Tag.Get("json"), ","); !strings.Contains(string(page), "\n.Li "+name) {
				t.Errorf("the man page does not name %q", name)
			}
		}
	}
}
