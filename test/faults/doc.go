// SPDX-License-Identifier: GPL-2.0-or-later

// Package faults lets every system call of a login fail, one at a time, and
// looks whether the login was isolated, or refused and left as it was.
//
// A login is one call of a module's pam_sm_open_session. c/inject.c makes it, in
// a sandbox, and disturbs one system call of the process that calls the module
// ("parent"), of the child that does the work ("child"), or of a process that the
// child has made ("holder"). It is known by its number and by its place among the
// calls of the same number. A process that executes a program is left alone from
// then on.
//
// What a login is to come to, a scenario says; how a session looks in detail is
// taken from an undisturbed login. One scenario disturbs `pamnetctl prune` instead,
// which is the parent then. In another a stopped process has the locks, and the login is
// disturbed around its wait for them.
//
//	go test ./test/faults                                                   a random sample
//	go test ./test/faults -timeout=3h -faults.full                          all of them
//	go test ./test/faults -timeout=3h -faults.full -faults.scenario='usernet-(own|held)'
//	go test ./test/faults -timeout=3h -faults.full -faults.match=/parent/   some of them
//	go test ./test/faults -faults.point=newnet/child/unshare/1/EPERM        one
package faults
