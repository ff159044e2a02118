/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads a module the way libpam does and proves that this starts no Go; then
 * calls the entry that the link script moved and proves that this starts it.
 *
 * usage: check-load MODULE ENTRY CONSTANTS SIZE
 *
 * The addresses are those of the module's sections .go_init_array and .go.data.rel.ro,
 * and that one's size.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <err.h>
#include <stdlib.h>
#include <unistd.h>

#include "../pam/relocate.h"

typedef void (*init_entry)(int argc, char **argv, char **envp);

static int count_threads(void)
{
	int threads = 0;
	DIR *tasks = opendir("/proc/self/task");

	if (!tasks)
		err(1, "/proc/self/task");
	for (struct dirent *task; (task = readdir(tasks));)
		threads += task->d_name[0] != '.';
	closedir(tasks);
	return threads;
}

int main(int argc, char **argv, char **envp)
{
	const int before = count_threads(); /* one, and qemu's own */
	void *module, *symbol;
	const init_entry *entry;
	Dl_info loaded;
	char *base, *constants;

	if (argc != 5)
		errx(2, "usage: check-load MODULE ENTRY CONSTANTS SIZE");
	module = dlopen(argv[1], RTLD_NOW);
	if (!module)
		errx(1, "%s", dlerror());
	symbol = dlsym(module, "pam_sm_open_session");
	if (!symbol || !dladdr(symbol, &loaded))
		errx(1, "%s: no pam_sm_open_session", argv[1]);
	if (count_threads() != before)
		errx(1, "%s: loading it starts Go", argv[1]);

	base = loaded.dli_fbase;
	constants = base + strtoul(argv[3], NULL, 16);
	if (!relocate(base, (const struct relocations *)constants, constants + strtoul(argv[4], NULL, 16)))
		err(1, "%s: relocations", argv[1]);
	entry = (const init_entry *)(base + strtoul(argv[2], NULL, 16));
	(*entry)(argc, argv, envp);
	/* The runtime's first thread; its monitor, once Go code runs. */
	for (int i = 0; count_threads() < before + 2; i++) {
		if (i == 1000)
			errx(1, "%s: the moved entry does not start Go", argv[1]);
		usleep(10 * 1000);
	}
	return 0;
}
