/* SPDX-License-Identifier: GPL-2.0-or-later */
/* usage: host MODULE */
#include <dlfcn.h>
#include <err.h>
#include <stddef.h>

int main(int argc, char **argv)
{
	void *module = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
	const char *(*open_session)(void), *wrong;

	if (!module)
		errx(1, "%s", dlerror());
	*(void **)&open_session = dlsym(module, "pam_sm_open_session");
	wrong = open_session();
	if (wrong)
		errx(1, "%s", wrong);
	return 0;
}
