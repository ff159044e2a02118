// SPDX-License-Identifier: GPL-2.0-or-later

// Package netns creates, joins and takes down network namespaces: new ones without a name, and those with a
// name in /run/netns, which ip-netns(8) shares. A login calls Acquire. Prune and Before.Undo take down
// what logins have created.
//
// # States
//
// Two files decide which State a name is in; load reads both. The handle, /run/netns/NAME, has the namespace
// mounted on it. The record, /run/libpam-net/netns/NAME, identifies the namespace that a login has created
// last and tells how far its creation got. A record of another namespace than the mounted one is stale.
//
//	state     handle       record            a login that finds it
//	absent    none         none, or stale    creates the namespace
//	reserved  empty file   any               gives `ip netns add` 0.5 s to mount, then creates the namespace
//	making    mounted      "making"          waits for the lock; then the creator has died: recreates it
//	made      mounted      "made"            joins
//	served    mounted      "served"          joins: processes that the setup program has left are running
//	ended     mounted      "served"          recreates it: those processes have ended
//	foreign   mounted      none, or stale    joins: it is the administrator's, and stays as it is
//	failed    none         "failed"          creates it; if it has waited for that setup, it is refused
//
// The steps of Acquire lead from one to the next:
//
//	absent    publish           setup program ends
//	reserved ─────────▶ making ────────────────────▶ made
//	failed               │ │ └─ and leaves processes ─▶ served ─ they end ─▶ ended
//	  ▲                  │ └─ setup program fails: unpublish ─▶ failed         │
//	  │                  └─ the login dies ─┐                                  │
//	  └───────────── unpublish ─────────────┴──────────────────────────────────┘
//
// Without a setup program, publish leads to made. Prune marks a namespace making before it runs "down", and
// then unpublishes it.
//
// # Locks
//
// A name has two locks, both in package state:
//
//   - The lock is for one process at a time: the login that creates the namespace, until its setup has
//     ended, or Prune. Logins wait for it only if the namespace is not complete.
//   - The use is for any number of logins. A login keeps it from before it looks at the name until its
//     process ends, when the user's process is in the namespace. Prune needs it alone and never waits.
//
// The lock of the name "" is for making /run/netns a shared mount. ip-netns takes a lock for that as well, on
// the directory; since every user can hold that one, it is waited for 0.5 s at most.
//
// # Threads
//
// The namespaces of a process are those of its threads. "spare" is a thread of nsfs.OnSpareThread, which
// ends with the step; if the login is in process 1's mount namespace already, InHost uses the main thread.
//
//	step                     thread           network       mounts, "/"   euid
//	load, lock               main or spare    login's       process 1's   0
//	prctl PR_SET_PDEATHSIG   main             login's       login's       0
//	cloneAs, for an owner    spare            login's       process 1's   the owner's, for a moment
//	New, record, publish     main or spare    new one       process 1's   0
//	setup program            main or spare    process 1's   process 1's   0
//	Acquire has returned     main, for good   session's     login's       0
package netns
