/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_ADOPT_H
#define PAMNET_ADOPT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "verdict.h"

/* Where a thread stands: its namespaces, "/" and ".". */
struct place {
	int ns; /* /proc/thread-self/ns, to look at the namespaces of the moment */
	int net, mnt, root, cwd;
	char cwd_path[PATH_MAX]; /* getcwd(2)'s word for cwd, "" if it has none */
	struct stat host_net;	 /* PID 1's network namespace */
};

/*
 * Opens the place of the calling thread. False, with the reason in why, if any
 * part of it cannot be had. Close it in either case.
 */
bool place_open(struct place *p, char *why, size_t size);
void place_close(struct place *p);

/*
 * Moves the calling thread from the place where it stands into the verdict's
 * namespaces, and looks whether it is really there: in the network namespace
 * meant, which is not PID 1's and, unless named, not the one it comes from; with
 * the "/" and "." that it had, in the new mount namespace. All or nothing: on false, with the reason in why,
 * the thread is back where it was.
 *
 * The thread must be the one that runs the session afterwards. Its root and
 * working directory are no longer shared with other threads, whatever comes out
 * (unshare(2), CLONE_FS): setns(2) wants that for a mount namespace.
 */
bool adopt(const struct place *before, const struct verdict *v, bool named, char *why, size_t size);

#endif
