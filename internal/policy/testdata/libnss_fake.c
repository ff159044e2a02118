/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory that has user dora and her group exam, whose one member she is. FAKE says how it is: it "lists" all,
 * or is "silent" where all are to be listed, or "fails", or "hangs".
 */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is(const char *state)
{
	const char *fake = getenv("FAKE");

	return fake && strcmp(fake, state) == 0;
}

static enum nss_status status(bool found, int *error)
{
	while (is("hangs"))
		pause();
	*error = is("fails") ? ECONNREFUSED : 0;
	return is("fails") ? NSS_STATUS_UNAVAIL : found ? NSS_STATUS_SUCCESS : NSS_STATUS_NOTFOUND;
}

static struct passwd dora = { "dora", "x", 30100, 30000, "", "/", "/bin/sh" };
static char *members[] = { "dora", NULL };
static struct group exam = { "exam", "x", 30202, members };
static bool listed;

enum nss_status _nss_fake_getpwnam_r(const char *name, struct passwd *entry, char *b, size_t n, int *error)
{
	(void)b, (void)n;
	*entry = dora;
	return status(strcmp(name, "dora") == 0, error);
}

enum nss_status _nss_fake_getgrnam_r(const char *name, struct group *entry, char *b, size_t n, int *error)
{
	(void)b, (void)n;
	*entry = exam;
	return status(strcmp(name, "exam") == 0, error);
}

enum nss_status _nss_fake_getgrgid_r(gid_t gid, struct group *entry, char *b, size_t n, int *error)
{
	(void)b, (void)n;
	*entry = exam;
	return status(gid == 30202, error);
}

enum nss_status _nss_fake_initgroups_dyn(const char *user, gid_t gid, long *start, long *size, gid_t **groups,
					 long limit, int *error)
{
	bool found = strcmp(user, "dora") == 0;

	(void)gid, (void)limit;
	if (found && *start < *size)
		(*groups)[(*start)++] = 30202;
	return status(found, error);
}

static enum nss_status list(int *error)
{
	bool more = is("lists") && !listed;

	listed = more;
	return status(more, error);
}

enum nss_status _nss_fake_getpwent_r(struct passwd *entry, char *b, size_t n, int *error)
{
	(void)b, (void)n;
	*entry = dora;
	return list(error);
}

enum nss_status _nss_fake_getgrent_r(struct group *entry, char *b, size_t n, int *error)
{
	(void)b, (void)n;
	*entry = exam;
	return list(error);
}

enum nss_status _nss_fake_setpwent(int stay) { (void)stay; return NSS_STATUS_SUCCESS; }
enum nss_status _nss_fake_endpwent(void) { return NSS_STATUS_SUCCESS; }
enum nss_status _nss_fake_setgrent(int stay) { (void)stay; return NSS_STATUS_SUCCESS; }
enum nss_status _nss_fake_endgrent(void) { return NSS_STATUS_SUCCESS; }
