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
	char cwd_path[PATH_MAX]; /* of cwd, by getcwd(2); it begins with "/" only if it is below root */
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
 * namespaces, and checks that it is really there: in the network namespace meant,
 * which is not PID 1's and, unless it has a name, not the one it comes from; with the "/"
 * and "." that it had, in the new mount namespace. child is the socket of the child that
 * keeps the network's name in use, -1 for a network without a name.
 *
 * Returns true with an empty why, or with a line for the log if the session cannot
 * start in its working directory: then "." is "/". On false, with the reason in why,
 * the thread is back where it was. Only if its old "." is a directory that neither root
 * nor the caller may enter, "." may be the old "/" afterwards.
 *
 * The thread must be the one that runs the session afterwards. Its root and working
 * directory are no longer shared with other threads on return (unshare(2), CLONE_FS):
 * setns(2) wants that for a mount namespace.
 */
bool adopt(const struct place *before, const struct verdict *verdict, int child, char *why,
	   size_t size);

#endif
