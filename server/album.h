/* Albums: what the files that group the faces of a set, show the groups and correct them share. */
#ifndef MIEN_SERVER_ALBUM_H
#define MIEN_SERVER_ALBUM_H

#include "sets.h"

/* The answer that an error of the library stands for, in words for who sees groups and not files. */
void album_fail(api_call *c, const mien_error *err);
/* One group of a list, NULL when it is not there (any more). */
const mien_album_group_info *album_group_of(const mien_album_list *list, int64_t group);

/* POST /v1/cluster (album_job.c) and POST /v1/sets/{set}/groups/{group}/enrol (album_enrol.c). */
void album_run_cluster(api_call *c);
void album_run_enrol(api_call *c);

#endif
