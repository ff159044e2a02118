/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The least that a module in Go can do for a non-member: it asks the name service about one group,
 * once for the whole stack, as the modules do: by their own lookup, and in a child where a
 * directory is among the sources. It takes no arguments, and has no other checks.
 */
#define _GNU_SOURCE
#include <security/pam_modules.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../pam/member.c"
#include "../../pam/nsswitch.c"
#include "../../pam/reason.c"
#include "../../pam/source.c"

static const char asked[] = "floor";

static bool is_nonmember_of_newnet(struct account *account, const char *user)
{
	struct answer answer;

	account_read(account, user);
	member_ask(account, KIND_NEWNET, "newnet", &answer);
	account_free(account);
	return is_nonmember(answer.membership);
}

static bool ask(const char *user)
{
	struct account account = { 0 };
	int status = -1;
	pid_t child;

	if (!nsswitch_read(&account.sources))
		return false;
	if (nsswitch_all_local(&account.sources))
		return is_nonmember_of_newnet(&account, user);
	child = fork();
	if (child == 0)
		_exit(is_nonmember_of_newnet(&account, user) ? 0 : 1);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	const void *user = NULL, *data = NULL;

	(void)flags;
	(void)argc;
	(void)argv;
	if (pam_get_data(pamh, asked, &data) == PAM_SUCCESS)
		return PAM_IGNORE;
	if (pam_get_item(pamh, PAM_USER, &user) != PAM_SUCCESS || !user || !ask(user) ||
	    pam_set_data(pamh, asked, (void *)asked, NULL) != PAM_SUCCESS)
		return PAM_ABORT;
	return PAM_IGNORE;
}

int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_SUCCESS;
}
