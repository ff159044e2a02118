/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way into a session, and back. Everything here runs in the login process. */
#ifndef PAMNET_ENTER_H
#define PAMNET_ENTER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "wire.h"

/* Where a thread is: its namespaces, "/" and ".". */
struct location {
	int ns; /* /proc/thread-self/ns, to look at the namespaces of the moment */
	int net, mnt, root, cwd;
	char cwd_path[PATH_MAX]; /* of cwd, by getcwd(2); it begins with "/" only if it is below root */
	struct stat host_net;	 /* PID 1's network namespace */
};

/*
 * Opens the location of the calling thread. Returns false with the reason if any part of it
 * cannot be opened. The caller must close it in either case.
 */
bool location_save(struct location *l, char reason[REASON_MAX]);
void location_close(const struct location *l);

/*
 * Moves the calling thread from its location before into the verdict's namespaces, and verifies
 * that it is there:
 *
 * - in the network namespace of the verdict, which is not PID 1's
 * - with a name: in use by the child with the socket child, after the move
 * - without a name (child is -1): not in the network namespace it comes from
 * - in the mount namespace of the verdict, with the "/" and "." that it had
 *
 * Returns true with an empty reason. If the session cannot start in its working directory, "." is
 * "/", and the reason is a line for the log.
 *
 * Returns false with the reason if the thread is back in its location before. Only if its old "."
 * is a directory that neither root nor the caller may enter, "." may be the old "/".
 *
 * The thread must be the one that runs the session. Also on failure it no longer shares "/" and
 * "." with other threads: setns(2) requires unshare(CLONE_FS) to enter a mount namespace.
 */
bool session_enter(const struct location *before, const struct message *verdict, int child,
		   char reason[REASON_MAX]);

/*
 * Moves the calling thread into a new network namespace, in which lo is down. Returns false with
 * the reason if the thread stays where it is.
 */
bool empty_network_enter(char reason[REASON_MAX]);

#endif
