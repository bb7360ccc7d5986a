/* From a call to pictures and faces: where the picture stands in the request, what was found in it, and as
 * JSON. */
#ifndef MIEN_SERVER_SEE_H
#define MIEN_SERVER_SEE_H

#include "server_parts.h"

/* A picture of a call and its faces, largest first, in px of the file. */
typedef struct seen {
    const uint8_t *data; /* the file; lent by the call or owned by `decoded` */
    size_t bytes;
    uint8_t *decoded;
    mien_image *image;
    int scale;        /* px of the file per px of the image */
    mien_face *faces; /* in px of the image */
    size_t n;
    char name[MULTIPART_MAX_FILE];
} seen;

void seen_free(seen *s);
/* The picture of a form's field or file, a JSON member holding base64, or the body itself (field "file"
 * then); decoded and searched for faces. `most` bounds the faces, 0: all. false: answered. */
bool see(api_call *c, const char *field, int64_t most, seen *ret);
/* Whether the call holds that picture. */
bool see_has(api_call *c, const char *field);
/* One face in px of the file. */
mien_face seen_face(const seen *s, size_t index);
/* Embed face `index`: [dim] floats, to be freed. NULL: answered. */
float *seen_embed(api_call *c, const seen *s, size_t index);
/* {"box":{...},"landmarks":[...],"score":...} in px of the file. */
json_t *seen_json(const seen *s, size_t index);
json_t *quality_json(const mien_quality *q);
mien_status seen_quality(const seen *s, size_t index, mien_quality *ret, mien_error *err);
/* Zero and free a template. */
void free_vec(const api_call *c, float *vec);
/* "data:TYPE;base64,...". */
json_t *data_address(const char *type, const uint8_t *data, size_t bytes);
/* A number rounded so that it reads well; null when it is not finite. */
json_t *rounded(double v, int digits);
json_t *time_json(int64_t ms); /* null for 0 */
json_t *person_json(const mien_person *p);
json_t *estimate_json(const mien_estimate *e);

#endif
