/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What SSSD's library answers while SSSD is down, if it was configured with
 * --enable-sss-default-nss-plugin, as Fedora's is: "not found", and no errno.
 */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>

static enum nss_status not_found(int *errnop)
{
	*errnop = 0;
	errno = 0;
	return NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_sss_getpwnam_r(const char *name, struct passwd *result, char *buffer,
				    size_t size, int *errnop)
{
	(void)name, (void)result, (void)buffer, (void)size;
	return not_found(errnop);
}

enum nss_status _nss_sss_getgrnam_r(const char *name, struct group *result, char *buffer,
				    size_t size, int *errnop)
{
	(void)name, (void)result, (void)buffer, (void)size;
	return not_found(errnop);
}

enum nss_status _nss_sss_getgrgid_r(gid_t gid, struct group *result, char *buffer, size_t size,
				    int *errnop)
{
	(void)gid, (void)result, (void)buffer, (void)size;
	return not_found(errnop);
}

enum nss_status _nss_sss_initgroups_dyn(const char *user, gid_t group, long *start, long *size,
					gid_t **groups, long limit, int *errnop)
{
	(void)user, (void)group, (void)start, (void)size, (void)groups, (void)limit;
	return not_found(errnop);
}
