/* Runs a fuzz target over files instead of a fuzzer: what `make check` does with fuzz/corpus/.
 *
 * Each file of each folder (or file) named is given whole, cut at every eighth, and with single bytes changed
 * by a fixed random sequence; so a plain compiler and the sanitizer builds exercise the readers without
 * libFuzzer. Each input is a block of its exact size, so that reading past its end is seen. Exit 0; 77 when
 * there is no file at all. A fault ends the program with the file's name on stderr before it.
 */
#include "base/base.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_FILE_BYTES = 16 << 20, CUTS = 8, CHANGES = 24 };

static size_t n_files;

static void give(const uint8_t *data, size_t size)
{
    uint8_t *const copy = malloc(size ? size : 1);
    if (!copy)
        exit(1);
    if (size)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void give_changed(uint8_t *data, size_t size)
{
    mien__rng rng;
    mien__rng_seed(&rng, size);
    for (int i = 0; i < CHANGES && size > 0; i++) {
        /* headers matter most: half of the changes go to the first 256 bytes */
        const size_t range = i % 2 && size > 256 ? 256 : size;
        const size_t at = (size_t)(mien__rng_u64(&rng) % range);
        const uint8_t old = data[at];
        data[at] = (uint8_t)mien__rng_u64(&rng);
        give(data, size);
        data[at] = old;
    }
}

static void replay_file(const char *path)
{
    FILE *const f = fopen(path, "rb");
    uint8_t *const data = malloc(MAX_FILE_BYTES);
    if (!f || !data) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        exit(1);
    }
    const size_t size = fread(data, 1, MAX_FILE_BYTES, f);
    fclose(f);
    /* Said before, so that it is the last line when the target falls; a pipe keeps it short. */
    fprintf(stderr, "replay: %s (%zu bytes)\n", path, size);
    give(data, size);
    for (size_t i = 0; i < CUTS; i++)
        give(data, size * i / CUTS);
    give_changed(data, size);
    free(data);
    n_files++;
}

static void replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return;
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path);
        return;
    }
    struct dirent **entries = NULL;
    const int n = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char name[4096];
        if (entries[i]->d_name[0] != '.' &&
            snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name) < (int)sizeof name)
            replay(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    if (n_files == 0) {
        printf("SKIP: no file to replay\n");
        return 77;
    }
    printf("%zu files replayed\n", n_files);
    return 0;
}
