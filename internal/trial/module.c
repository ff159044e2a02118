/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "module.h"

#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "syslog.h"

#define SERVICE "pamnet-check"
#define NOBODY 65534U
#define ROOM 1024 /* for a name, a line, a sentence */

/* The first line that pam/bridge.go logs if the module has the argument "debug". */
#define GO_HAS_STARTED "Go has started"

#define CANNOT_START "cannot be named to libpam by a file below /tmp"

static char sentence[ROOM];

static const char *say(const char *what, const char *why)
{
	snprintf(sentence, sizeof(sentence), "%s (%s)", what, why);
	return sentence;
}

/* Returns the last line of the log that contains text, or NULL if there is none. */
static const char *last_logged(const char *text)
{
	const char *last = NULL;
	const struct line *line;

	for (size_t n = 0; (line = logged(n)); n++) {
		if (strstr(line->text, text))
			last = line->text;
	}
	return last;
}

static int no_conversation(int n, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	(void)n;
	(void)messages;
	(void)data;
	*responses = NULL;
	return PAM_SUCCESS;
}

/*
 * Starts PAM with a service that consists of the module. The service names the module by a
 * symbolic link, because libpam takes no blanks in a path. Both files are removed at once.
 * Returns NULL if it fails.
 */
static pam_handle_t *start(const char *module, const char *user, const char *group)
{
	static const struct pam_conv conversation = { .conv = no_conversation };
	char dir[] = "/tmp/pamnet-check.XXXXXX", link[ROOM], service[ROOM], path[PATH_MAX];
	pam_handle_t *pamh = NULL;
	FILE *file;

	if (!realpath(module, path) || !mkdtemp(dir))
		return NULL;
	snprintf(link, sizeof(link), "%s/module.so", dir);
	snprintf(service, sizeof(service), "%s/" SERVICE, dir);
	file = fopen(service, "we");
	if (file && symlink(path, link) == 0) {
		fprintf(file, "session required %s debug group=%s\n", link, group);
		if (fflush(file) == 0 && pam_start_confdir(SERVICE, user, &conversation, dir, &pamh) != PAM_SUCCESS)
			pamh = NULL;
	}
	if (file)
		fclose(file);
	unlink(link);
	unlink(service);
	rmdir(dir);
	return pamh;
}

/* Opens the session and ends PAM. Returns PAM's code. */
static int open_and_end(pam_handle_t *pamh)
{
	int code = pam_open_session(pamh, PAM_SILENT);

	pam_end(pamh, code);
	return code;
}

const char *try_nonmember(const char *module)
{
	pam_handle_t *pamh = start(module, "root", "pamnet-nobody");
	const char *line;
	int code;

	if (!pamh)
		return CANNOT_START;
	code = open_and_end(pamh);
	/* libpam returns this if every module of the stack has returned PAM_IGNORE. */
	if (code == PAM_PERM_DENIED)
		return NULL;
	if (code == PAM_SUCCESS)
		return "isolates a non-member";
	line = last_logged("");
	return say("refuses a non-member", line ? line : pam_strerror(NULL, code));
}

/*
 * Finds a user in /etc/passwd who is a member by the primary group, and the argument group=
 * for that. For pam_groupnet the group's name is "GROUP-NAME". Returns false if there is none.
 */
static bool find_member(bool groupnet, char user[ROOM], char group[ROOM])
{
	FILE *users = fopen("/etc/passwd", "re"), *groups = fopen("/etc/group", "re");
	bool found = false;
	struct passwd *u;
	struct group *g;

	while (users && groups && !found && (u = fgetpwent(users))) {
		rewind(groups);
		while (!found && (g = fgetgrent(groups))) {
			char *dash = strchr(g->gr_name, '-');

			if (g->gr_gid != u->pw_gid || (groupnet && (!dash || dash == g->gr_name || !dash[1])))
				continue;
			if (groupnet)
				*dash = '\0';
			found = snprintf(user, ROOM, "%s", u->pw_name) < ROOM &&
				snprintf(group, ROOM, "%s", g->gr_name) < ROOM;
		}
	}
	if (users)
		fclose(users);
	if (groups)
		fclose(groups);
	return found;
}

/*
 * Mounts a /proc in which this process is process 1. A login looks at process 1, and a process
 * without rights may only look at itself. Does nothing unless this process is process 1 in PID
 * and mount namespaces of its own.
 */
static void see_oneself(void)
{
	if (getpid() == 1 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

/*
 * Gives the calling thread the IDs of nobody and takes all its capabilities. libc's functions
 * would change all threads, so it makes the system calls itself. In a user namespace with a
 * single user the IDs do not change, and the capabilities are gone all the same.
 */
static bool drop_rights(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[2] = { 0 };

	syscall(SYS_setgroups, 0, NULL);
	syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY);
	syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY);
	return syscall(SYS_capset, &header, none) == 0;
}

const char *try_member(const char *module, const char **untried)
{
	const char *name = strrchr(module, '/'), *line;
	char user[ROOM], group[ROOM];
	struct stat process1;
	pam_handle_t *pamh;
	int code;

	if (!find_member(strstr(name ? name : module, "pam_groupnet"), user, group)) {
		*untried = "no user in /etc/passwd has a primary group that makes a member";
		return NULL;
	}
	pamh = start(module, user, group);
	if (!pamh)
		return CANNOT_START;
	see_oneself();
	if (!drop_rights() || stat("/proc/1/ns/net", &process1) < 0) {
		pam_end(pamh, PAM_ABORT);
		*untried = "this machine allows no PID namespace, and without rights nobody may look at process 1";
		return NULL;
	}
	code = open_and_end(pamh);
	if (code != PAM_ABORT)
		return say("does not refuse a member for whom it may do nothing", pam_strerror(NULL, code));
	if (last_logged(GO_HAS_STARTED))
		return NULL;
	line = last_logged("refused");
	return say("does not start Go for a member", line ? line : "without a word in the log");
}
