/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for libFuzzer: runs a target on each file that is named, as it does. */
#include "fuzz.h"

int main(int argc, char **argv)
{
	static uint8_t buffer[1 << 16];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		uint8_t *data;
		size_t size;

		fprintf(stderr, "%s\n", argv[i]);
		MUST(f);
		size = fread(buffer, 1, sizeof(buffer), f);
		MUST(!ferror(f) && feof(f));
		fclose(f);
		data = malloc(size ? size : 1); /* what is read beyond it is noticed */
		MUST(data);
		for (size_t j = 0; j < size; j++)
			data[j] = buffer[j];
		LLVMFuzzerTestOneInput(data, size);
		free(data);
	}
	return 0;
}
