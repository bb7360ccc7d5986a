/* The gate: reasons with their texts, bounds, and the score of the whole.
 *
 * Every bound stands where the built-in embedder begins to lose people, not where a picture begins to look
 * bad; the measurements are in docs/quality.md, made by tools/quality.c. */
#include "quality/measure.h"
#include <math.h>
#include <string.h>

const char *mien_reason_name(mien_reason reason)
{
    static const char *const names[] = {
#define NAME(name, text) #name,
        MIEN_REASON_LIST(NAME)
#undef NAME
    };
    return (unsigned)reason < MIEN_COUNTOF(names) ? names[reason] : "UNKNOWN";
}

const char *mien_reason_text(mien_reason reason)
{
    static const char *const texts[] = {
#define TEXT(name, text) text,
        MIEN_REASON_LIST(TEXT)
#undef TEXT
    };
    return (unsigned)reason < MIEN_COUNTOF(texts) ? texts[reason] : "unknown reason";
}

void mien_quality_gate_init(mien_quality_gate *gate)
{
    *gate = (mien_quality_gate){
        .struct_size = sizeof *gate,
        .min_eye_distance_px = 16,
        .max_yaw_deg = 45,
        .max_pitch_deg = 40,
        .min_sharpness = 0.22f,
        .min_brightness = 0.08f,
        .max_brightness = 0.92f,
        .max_overexposed = 0.60f,
        .min_inside = 0.70f,
    };
}

mien_reason mien_quality_reason(const mien_quality *q, const mien_quality_gate *gate)
{
    mien_quality_gate g;
    mien_quality_gate_init(&g);
    if (gate)
        memcpy(&g, gate, gate->struct_size < sizeof g ? gate->struct_size : sizeof g);
    if (!(fabsf(q->yaw_deg) <= g.max_yaw_deg) || !(fabsf(q->pitch_deg) <= g.max_pitch_deg))
        return MIEN_REASON_TOO_TURNED;
    if (!(q->eye_distance_px >= g.min_eye_distance_px))
        return MIEN_REASON_TOO_SMALL;
    if (!(q->brightness >= g.min_brightness))
        return MIEN_REASON_TOO_DARK;
    if (!(q->brightness <= g.max_brightness) || !(q->overexposed <= g.max_overexposed))
        return MIEN_REASON_TOO_BRIGHT;
    if (!(q->sharpness >= g.min_sharpness))
        return MIEN_REASON_TOO_BLURRED;
    if (!(q->inside >= g.min_inside))
        return MIEN_REASON_CUT_OFF;
    return MIEN_REASON_NONE;
}

static double rising(double v, double middle, double width)
{
    return 1 / (1 + exp(-(v - middle) / width));
}

/* Components are as OFIQ maps them where it has them: cos^2 of the angles, logistic for the rest. */
float mien__quality_score(const mien_quality *q)
{
    const double rad = 3.14159265358979323846 / 180;
    const double yaw = cos(fmin(fabs((double)q->yaw_deg), 90) * rad);
    const double pitch = cos(fmin(fabs((double)q->pitch_deg), 90) * rad);
    const double parts[] = {
        rising(q->eye_distance_px, 11, 2.5),
        rising(q->sharpness, 0.20, 0.045),
        yaw * yaw,
        pitch * pitch,
        rising(q->brightness, 0.06, 0.02) * rising(-q->brightness, -0.95, 0.02),
        1 - rising(q->overexposed, 0.75, 0.10),
        q->inside,
    };
    double product = 1;
    for (size_t i = 0; i < MIEN_COUNTOF(parts); i++)
        product *= parts[i];
    return (float)pow(product, 1.0 / MIEN_COUNTOF(parts));
}
