/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The least that a PAM session module can do: each call returns PAM_IGNORE. */
#include <security/pam_modules.h>

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_IGNORE;
}

int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	return pam_sm_open_session(pamh, flags, argc, argv);
}
