/* What the files that enrol share: the call's wishes, its consent, and what faces are judged by. */
#ifndef MIEN_SERVER_ENROL_H
#define MIEN_SERVER_ENROL_H

#include "server_parts.h"

enum { ENROL_MOST = 20 }; /* faces of one call */

typedef struct enrol_plan {
    int64_t person; /* 0: by name */
    const char *name;
    mien_consent consent;
    bool has_consent, force, keep;
} enrol_plan;

/* The consent that the call carries; *ret_any false when it carries none. Texts are lent by the call. false: answered. */
bool enrol_consent(api_call *c, mien_consent *ret, bool *ret_any);
/* Consent, force and keep_images. false: answered. */
bool enrol_read_plan(api_call *c, enrol_plan *plan);
/* Somebody new whose end the call does not name goes when the collection says. */
void enrol_end(api_call *c, mien_gallery *g, enrol_plan *plan);
/* What became of one picture. */
json_t *enrol_outcome_json(const char *name, const mien_enrolled *e);
/* What n faces are judged by: one stranger in a hundred may look like somebody else of the gallery. */
mien_status enrol_bounds(api_call *c, mien_gallery *g, size_t n, double *ret_other, double *ret_unlike,
                         mien_error *err);

#endif
