/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The relocations of Go's data, which build/deferrelocations keeps from the dynamic
 * linker: whoever is no member has no use for the 60 pages that they write.
 */
#ifndef PAMNET_RELOCATE_H
#define PAMNET_RELOCATE_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Where they are in the module: zeros if the dynamic linker does them. Go's constants follow. */
struct relocations {
	uint64_t table; /* of Elf64_Rela: its address, less that of the module */
	uint64_t count;
};

/*
 * Carries them out in the module that is loaded at base, and leaves the constants, up
 * to end, read-only (RELRO), as the dynamic linker does; false with errno set. A module
 * that was linked without build/deferred-start.ld has no r.
 */
static inline bool relocate(char *base, const struct relocations *r, const char *end)
{
	char *page = (char *)((uintptr_t)r & -(uintptr_t)sysconf(_SC_PAGESIZE));
	size_t size = (size_t)(end - page);
	const Elf64_Rela *table;

	if (!r || !r->count)
		return true;
	table = (const Elf64_Rela *)(base + r->table);
	if (mprotect(page, size, PROT_READ | PROT_WRITE) < 0)
		return false;
	madvise(page, size, MADV_POPULATE_WRITE); /* cheaper than a fault for each page; Linux 5.14 */
	for (uint64_t i = 0; i < r->count; i++)
		*(uint64_t *)(base + table[i].r_offset) = (uint64_t)base + (uint64_t)table[i].r_addend;
	return mprotect(page, size, PROT_READ) == 0;
}

#endif
