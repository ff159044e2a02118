/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line of a session's stack, between two others:
 *
 *	user=NAME	changes PAM_USER
 *	group=FILE	makes FILE the machine's /etc/group
 *	seconds=N	lets N seconds pass by CLOCK_MONOTONIC; in a host that is started with
 *			this library in LD_PRELOAD
 */
#define _GNU_SOURCE
#define PAM_SM_SESSION
#include <security/pam_modules.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static time_t passed;

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_MONOTONIC)
		now->tv_sec += passed;
	return result;
}

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)flags;
	for (int i = 0; i < argc; i++) {
		const char *value = strchr(argv[i], '=') + 1;
		int failed = 0;

		if (strncmp(argv[i], "user=", 5) == 0)
			failed = pam_set_item(pamh, PAM_USER, value);
		else if (strncmp(argv[i], "group=", 6) == 0)
			failed = rename(value, "/etc/group");
		else
			passed += atoi(value);
		if (failed)
			return PAM_SESSION_ERR;
	}
	return PAM_SUCCESS;
}

int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_SUCCESS;
}
