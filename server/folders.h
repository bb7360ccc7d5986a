/* Files and folders of the server's own, in its data folder: read whole, replaced whole, removed with what is in them. */
#ifndef MIEN_SERVER_FOLDERS_H
#define MIEN_SERVER_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FOLDER_PATH_BYTES = 700, FOLDER_ID_BYTES = 17 };

/* "dir/name" into ret; false when it is too long. */
bool folder_path(char ret[FOLDER_PATH_BYTES], const char *dir, const char *name);
/* Make a folder for its owner alone, with those above it. One sentence on a fault. */
bool folder_make(const char *path, char *ret_fault, size_t capacity);
/* Remove a folder and what is in it; links are removed, not followed. */
void folder_remove(const char *path);
/* A name nobody can guess: 16 hex digits. */
void folder_new_id(char ret[FOLDER_ID_BYTES]);
bool folder_is_id(const char *text);

/* The whole file and a zero behind it, to be freed; NULL: errno. */
uint8_t *file_read(const char *path, size_t most, size_t *ret_bytes);
/* Replace a file, whole and through to the disk, mode 0600; false: errno. */
bool file_write(const char *path, const void *data, size_t bytes);

#endif
