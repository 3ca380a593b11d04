/* SPDX-License-Identifier: MIT */
/*
 * The main of a fuzz driver where there is no libFuzzer: runs the driver once over each seed.
 *
 * With arguments: over those files. Without: over $srcdir/tests/fuzz/seeds/<name>/ (srcdir is `.`
 * if unset), where <name> is the program's name without `fuzz_`. Prints TAP, one test for the whole
 * corpus. A driver fails by crashing; an empty corpus or a file that cannot be read fails too.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEED_MAX = 1 << 20 };

/* The input lives in a block of exactly its size, so that the sanitizer sees a read past its end.
 */
static int run_bytes(const uint8_t *bytes, size_t size)
{
    uint8_t *input = malloc(size ? size : 1);
    if (!input)
        return -1;
    memcpy(input, bytes, size);
    LLVMFuzzerTestOneInput(input, size);
    free(input);
    return 0;
}

static int run_file(const char *path)
{
    static uint8_t bytes[SEED_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("# %s: %s\n", path, strerror(errno));
        return -1;
    }
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    int failed = ferror(file);
    fclose(file);
    return failed ? -1 : run_bytes(bytes, size);
}

/* Returns how many seeds ran, negative if one could not be read. */
static int run_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return 0;
    int count = 0;
    for (struct dirent *entry; count >= 0 && (entry = readdir(dir));) {
        char *path;
        if (entry->d_name[0] == '.')
            continue;
        if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
            abort();
        count = run_file(path) == 0 ? count + 1 : -1;
        free(path);
    }
    closedir(dir);
    return count;
}

static int run_seeds(const char *program)
{
    char *folder;
    const char *srcdir = getenv("srcdir");
    const char *slash = strrchr(program, '/');
    const char *name = slash ? slash + 1 : program;
    if (strncmp(name, "fuzz_", strlen("fuzz_")) == 0)
        name += strlen("fuzz_");
    if (asprintf(&folder, "%s/tests/fuzz/seeds/%s", srcdir ? srcdir : ".", name) < 0)
        abort();
    int count = run_folder(folder);
    free(folder);
    return count;
}

static int run_files(char **paths)
{
    int count = 0;
    for (; *paths; paths++, count++) {
        if (run_file(*paths) != 0)
            return -1;
    }
    return count;
}

int main(int argc, char **argv)
{
    printf("1..1\n");
    fflush(stdout);
    int count = argc > 1 ? run_files(argv + 1) : run_seeds(argv[0]);
    printf("%s 1 - %d seeds\n", count > 0 ? "ok" : "not ok", count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
