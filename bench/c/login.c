/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * login - the part of a login that a PAM module can make slower, timed
 *
 * usage: login [--hold] SERVICE USER
 *
 * Opens and closes a session, first thing in a process that knows nothing yet. Writes one line
 *
 *	TOTAL START OPEN END DATE FAULTS CHILD_FAULTS CHILD_CPU
 *
 * The first four are nanoseconds: of all, of pam_start, of pam_open_session, of pam_close_session and
 * pam_end. DATE is when pam_open_session was called, in nanoseconds since 1970. Then, of
 * pam_open_session, page faults of this process and of the child that it has waited for, and that one's
 * processor time in microseconds. Exit status: 0 the session was opened, 1 it was refused.
 *
 * With --hold it writes "ready" instead when the session is open, and closes it when stdin ends. It then
 * has a connection to the system log, as every login service has: what a module logs makes none.
 */
#define _GNU_SOURCE
#include <err.h>
#include <security/pam_appl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static long long now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Nobody is there to answer, or to read. */
static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	(void)count;
	(void)messages;
	(void)responses;
	(void)data;
	return PAM_CONV_ERR;
}

static long long cpu_us(const struct rusage *u)
{
	return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000LL + u->ru_utime.tv_usec + u->ru_stime.tv_usec;
}

static void check(pam_handle_t *pamh, const char *call, int result)
{
	if (result != PAM_SUCCESS)
		errx(1, "%s: %s", call, pam_strerror(pamh, result));
}

static void hold_session(void)
{
	char byte;

	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	static const struct pam_conv conversation = { .conv = converse };
	bool hold = argc == 4 && strcmp(argv[1], "--hold") == 0;
	struct rusage before, after, child;
	long long date, start, open, end;
	pam_handle_t *pamh = NULL;

	if (argc != 3 && !hold)
		errx(2, "usage: login [--hold] SERVICE USER");

	if (hold)
		syslog(LOG_AUTHPRIV | LOG_INFO, "a login of %s", argv[argc - 1]);
	start = -now(CLOCK_MONOTONIC);
	check(pamh, "pam_start", pam_start(argv[argc - 2], argv[argc - 1], &conversation, &pamh));
	start += now(CLOCK_MONOTONIC);

	getrusage(RUSAGE_SELF, &before);
	date = now(CLOCK_REALTIME);
	open = -now(CLOCK_MONOTONIC);
	check(pamh, "pam_open_session", pam_open_session(pamh, 0));
	open += now(CLOCK_MONOTONIC);
	getrusage(RUSAGE_SELF, &after);
	getrusage(RUSAGE_CHILDREN, &child);

	if (hold)
		hold_session();
	end = -now(CLOCK_MONOTONIC);
	pam_close_session(pamh, 0);
	pam_end(pamh, PAM_SUCCESS);
	end += now(CLOCK_MONOTONIC);

	if (!hold)
		printf("%lld %lld %lld %lld %lld %ld %ld %lld\n", start + open + end, start, open, end, date,
		       after.ru_minflt - before.ru_minflt, child.ru_minflt, cpu_us(&child));
	return 0;
}
