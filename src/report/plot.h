/* Plots of a report as inline SVG. Private to reports. */
#ifndef MIEN_SRC_REPORT_PLOT_H
#define MIEN_SRC_REPORT_PLOT_H

#include "report/text.h"

enum { MIEN__PLOT_CURVES = 8 };

typedef enum mien__scale { MIEN__LINEAR, MIEN__LOG } mien__scale;

/* A curve, or with `lo` and `hi` a curve with a band. Points that are not finite, or not positive on a
 * logarithmic axis, interrupt it. */
typedef struct mien__curve {
    const char *name;  /* of the legend; escaped */
    const char *style; /* class of the style sheet: "c0".."c7", "before", "after", "mated", "nonmated" */
    const double *x, *y, *lo, *hi;
    size_t n;
    bool fill;  /* down to the axis */
    bool dots;  /* mark each point */
    bool mean;  /* many points: show means of neighbours */
    bool hover; /* each point says its values when pointed at */
} mien__curve;

typedef struct mien__plot {
    const char *id; /* unique in the page */
    const char *title, *x_name, *y_name;
    mien__scale x_scale, y_scale;
    bool y_from_zero;
    double y_factor; /* values are shown times this: 100 for percentages */
    double x_factor;
    const double *x_mark; /* a vertical line at this x, with its name; NULL: none */
    const char *mark_name;
    mien__curve curves[MIEN__PLOT_CURVES];
    size_t n_curves;
} mien__plot;

/* Append a <figure> with legend, or nothing when there is no point to show. */
void mien__plot_svg(const mien__plot *p, mien__text *t);

#endif
