/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAULTS_HOST_H
#define FAULTS_HOST_H

#include "../../pamhost/c/json.h"

/* getpgid(2) of this says to the tracer that the module has returned. */
#define MODULE_HAS_RETURNED 0x6e6574

/* Numbers of system calls, for host_login. */
#define TRACE_NONE (-1)
#define TRACE_ALL (-2)

/*
 * Loads the module, and starts PAM for the user, as a login service does before it forks. False:
 * see errno.
 */
bool host_start(const char *module, const char *user);

/*
 * Is a login process for the time of one pam_sm_open_session, and reports what came of it and
 * what the process looked like before and after. The module's system calls of the number traced,
 * its child's included, stop for the tracer (seccomp(2), SECCOMP_RET_TRACE).
 *
 * Call it in a process of its own: it leaves that one changed. False: something other than the
 * module has failed, see errno.
 */
bool host_login(int argc, const char **argv, int traced, struct json *report);

/*
 * Executes a program, without input and output, whose system calls of the number traced stop for
 * the tracer.
 */
_Noreturn void host_execute(const char **command, int traced);

/* The interfaces of the network that the process is in, and whether they are up. */
void interfaces(struct json *j, const char *key);

#endif
