/* What the two files of CompreFace's interface share. */
#ifndef MIEN_SERVER_COMPAT_H
#define MIEN_SERVER_COMPAT_H

#include "see.h"

#define COMPAT_RECOGNITION "/api/v1/recognition"
enum { COMPAT_SMALL = 1 << 20 }; /* most bytes of a body without a picture */

/* Parameters that its calls have in common. */
typedef struct wishes {
    int64_t limit, predictions, status;
    double probability;
    bool landmarks, embedding, pose;
} wishes;

bool compat_read_wishes(api_call *c, wishes *w);
/* An image id in the path. false: answered. */
bool compat_image_param(api_call *c, int index, int64_t *ret);
/* See a picture; none of its faces is their error 28. */
bool compat_see_some(api_call *c, const char *field, const wishes *w, seen *ret);
/* New reference; "" when the person has just gone. */
json_t *compat_name_of(mien_gallery *g, int64_t person);
/* {"image_id","subject"} of a face; NULL when there is none. */
json_t *compat_described(mien_gallery *g, int64_t face);

#endif
