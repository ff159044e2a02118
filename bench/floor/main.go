// SPDX-License-Identifier: GPL-2.0-or-later

// Command floor is the least that a PAM module with a c-shared Go library in it can be. For a non-member's login (module.c)
// it is linked as the modules are, and Go sleeps. For a member's, c/floor.c starts it in a child and calls Nothing.
package main

// #cgo LDFLAGS: -lpam
import "C"

//export Nothing
func Nothing() {}

func main() {}
