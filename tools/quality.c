/* quality: the measurements behind the gate of <mien/quality.h>; docs/quality.md shows what they gave.
 *
 *   tool_quality degrade DIR [EVERY]           damage of many kinds, and what it does to similarity
 *   tool_quality reject DIR                    error versus reject; DIR holds a folder per person
 *   tool_quality gate DIR [LABELS COLUMN]      whom the gate refuses, by a column of a table whose first one is a path
 *
 * EVERY: damage each so-manieth picture only. The built-in models are used. */
#include "quality/shots.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    shots s;
    const char *mode = argc > 2 ? argv[1] : "";
    const int every = !strcmp(mode, "degrade") && argc > 3 ? atoi(argv[3]) : 1;
    int rc = 2;
    if ((strcmp(mode, "degrade") && strcmp(mode, "reject") && strcmp(mode, "gate")) || every < 1) {
        fputs("usage: quality degrade DIR [EVERY] | reject DIR | gate DIR [LABELS COLUMN]\n", stderr);
        return rc;
    }
    shots_open(&s);
    shots_read(&s, argv[2]);
    if (!strcmp(mode, "degrade"))
        rc = degrade_main(&s, every);
    else if (!strcmp(mode, "reject"))
        rc = reject_main(&s);
    else
        rc = gate_main(&s, argc > 4 ? argv[3] : NULL, argc > 4 ? argv[4] : NULL);
    shots_free(&s);
    return rc;
}
