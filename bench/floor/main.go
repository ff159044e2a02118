// SPDX-License-Identifier: GPL-2.0-or-later

// Command floor is the least that a c-shared Go library can be. c/floor.c starts it in a child, as a login of a
// member starts the core.
package main

import "C"

//export Nothing
func Nothing() {}

func main() {}
