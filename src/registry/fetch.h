/* One file from an address into a part file, resumed where it stopped. Private to the registry. */
#ifndef MIEN_SRC_FETCH_H
#define MIEN_SRC_FETCH_H

#include "base/base.h"
#include <mien/model.h>

/* Is the address one that may be read: https anywhere; with `mirror` also file:, and http on this machine. */
bool mien__fetch_allowed(const char *url, bool mirror);

/* Append to the open file `fd` what it lacks of `url`. A server that cannot resume is read from the start.
 * E_UNSUPPORTED without libcurl, E_NET, E_INTERRUPTED (progress asked to stop), E_LIMIT (max_bytes), E_IO. */
mien_status mien__fetch(const char *url, int fd, uint64_t max_bytes, mien_progress_fn progress, void *user,
                        mien_error *err);

#endif
