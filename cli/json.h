/* JSON for the verbs, over jansson: file names that are not UTF-8, rounded numbers, one line per object. */
#ifndef MIEN_CLI_JSON_H
#define MIEN_CLI_JSON_H

#include "cli.h"
#include <jansson.h>

/* A string; bytes that are not UTF-8 become U+FFFD. */
json_t *cli_json_text(const char *s);
/* A number rounded to `digits` after the point; NULL (null) when it is not finite. */
json_t *cli_json_round(double v, int digits);
/* "box", "landmarks", "score" of a face, in px of the picture. */
void cli_json_face(json_t *object, const mien_face *face);
/* Set, ending the program when memory is short. `value` is taken. */
void cli_json_set(json_t *object, const char *key, json_t *value);
void cli_json_append(json_t *array, json_t *value);
/* Write on one line, or indented for people, with a newline; `value` is released. */
void cli_json_line(FILE *f, json_t *value);
void cli_json_page(FILE *f, json_t *value);
/* The page with 15 significant digits, not 9: for figures that others check. */
void cli_json_exact(FILE *f, json_t *value);

#endif
