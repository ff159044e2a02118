/* Everything about a process that a PAM module could leave changed behind. */
#ifndef PAMHOST_SNAPSHOT_H
#define PAMHOST_SNAPSHOT_H

#include <sys/resource.h>

#include "json.h"

/* "NOFILE" for RLIMIT_NOFILE, and so on. */
extern const char *const rlimit_names[RLIM_NLIMITS];

/*
 * Writes a snapshot of the process, and of the calling thread where a thread has something of its own. Leaves everything
 * as it was: two snapshots in a row differ in nothing. Where /proc is missing or cannot be read, it says "proc": false and
 * tells what the system calls do.
 */
void snapshot(struct json *j, const char *key);

#endif
