/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A source for nsswitch.conf(5), with the entries of /run/fake/passwd and
 * /run/fake/group. The environment says when it is down:
 *
 *	FAKE_STATUS	unavail, tryagain or notfound; if it is not set the source is up
 *	FAKE_ERRNO	the errno that goes with it
 *	FAKE_FUNCTION	fails alone, else all do: getpwnam, getgrnam, getgrgid, initgroups
 *	FAKE_CALLS	the numbers of the calls that fail alone, from 1: ",2,5,"
 */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether the environment has the variable with this value. */
static bool is(const char *variable, const char *value)
{
	const char *set = getenv(variable);

	return set && strcmp(set, value) == 0;
}

/* Whether the function is to fail this time, and how. */
static bool down(const char *function, enum nss_status *status, int *error)
{
	static int calls;
	const char *fail = getenv("FAKE_CALLS"), *number = getenv("FAKE_ERRNO");
	char call[16];

	snprintf(call, sizeof(call), ",%d,", ++calls);
	if (!getenv("FAKE_STATUS") || (fail && !strstr(fail, call)))
		return false;
	if (getenv("FAKE_FUNCTION") && !is("FAKE_FUNCTION", function))
		return false;
	*status = is("FAKE_STATUS", "unavail")	? NSS_STATUS_UNAVAIL :
		  is("FAKE_STATUS", "tryagain") ? NSS_STATUS_TRYAGAIN :
						  NSS_STATUS_NOTFOUND;
	if (number)
		*error = atoi(number);
	return true;
}

/* What fgetXXent_r has come to, in the end or for want of a file. */
static enum nss_status outcome(int result, int *error)
{
	*error = result == ENOENT ? 0 : result;
	return result == 0	? NSS_STATUS_SUCCESS :
	       result == ERANGE ? NSS_STATUS_TRYAGAIN :
				  NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_fake_getpwnam_r(const char *name, struct passwd *pw, char *buffer, size_t size,
				     int *error)
{
	enum nss_status status;
	struct passwd *p;
	FILE *f;
	int result = ENOENT;

	if (down("getpwnam", &status, error))
		return status;
	f = fopen("/run/fake/passwd", "re");
	while (f && (result = fgetpwent_r(f, pw, buffer, size, &p)) == 0) {
		if (strcmp(pw->pw_name, name) == 0)
			break;
	}
	if (f)
		fclose(f);
	return outcome(result, error);
}

static enum nss_status find_group(const char *name, gid_t gid, struct group *gr, char *buffer,
				  size_t size, int *error)
{
	FILE *f = fopen("/run/fake/group", "re");
	struct group *g;
	int result = ENOENT;

	while (f && (result = fgetgrent_r(f, gr, buffer, size, &g)) == 0) {
		if (name ? strcmp(gr->gr_name, name) == 0 : gr->gr_gid == gid)
			break;
	}
	if (f)
		fclose(f);
	return outcome(result, error);
}

enum nss_status _nss_fake_getgrnam_r(const char *name, struct group *gr, char *buffer, size_t size,
				     int *error)
{
	enum nss_status status;

	return down("getgrnam", &status, error) ? status : find_group(name, 0, gr, buffer, size, error);
}

enum nss_status _nss_fake_getgrgid_r(gid_t gid, struct group *gr, char *buffer, size_t size, int *error)
{
	enum nss_status status;

	return down("getgrgid", &status, error) ? status : find_group(NULL, gid, gr, buffer, size, error);
}

enum nss_status _nss_fake_initgroups_dyn(const char *user, gid_t primary, long *start, long *size,
					 gid_t **gids, long limit, int *error)
{
	enum nss_status status;
	char buffer[65536];
	struct group gr, *g;
	FILE *f;

	(void)limit;
	if (down("initgroups", &status, error))
		return status;
	f = fopen("/run/fake/group", "re");
	while (f && fgetgrent_r(f, &gr, buffer, sizeof(buffer), &g) == 0) {
		bool in = false;

		for (char **m = gr.gr_mem; *m; m++)
			in |= strcmp(*m, user) == 0;
		if (in && gr.gr_gid != primary && *start < *size)
			(*gids)[(*start)++] = gr.gr_gid;
	}
	if (f)
		fclose(f);
	*error = 0; /* the end of the file has left ENOENT */
	return NSS_STATUS_SUCCESS;
}
