/* What is said about a picture that was refused: what to do, and the measurement behind the reason. */
#include "galleries.h"
#include <math.h>

const char *cli_advice(mien_reason reason)
{
    switch (reason) {
    case MIEN_REASON_NO_FACE:
        return "take a picture that shows the face";
    case MIEN_REASON_MANY_FACES:
        return "cut the picture, or say which face is meant with --pick";
    case MIEN_REASON_TOO_SMALL:
        return "come nearer, or take a larger picture";
    case MIEN_REASON_TOO_BLURRED:
        return "hold still, focus on the face";
    case MIEN_REASON_TOO_TURNED:
        return "look into the camera";
    case MIEN_REASON_TOO_DARK:
        return "more light on the face";
    case MIEN_REASON_TOO_BRIGHT:
        return "less light, no flash";
    case MIEN_REASON_CUT_OFF:
        return "the whole face must be in the picture";
    case MIEN_REASON_LOOKS_LIKE_ANOTHER_PERSON:
        return "the same person under two names? `mien gallery merge` joins them; --force keeps both";
    case MIEN_REASON_UNLIKE_THE_PERSON:
        return "somebody else in this picture? --force if not";
    default:
        return NULL;
    }
}

void cli_reason_detail(mien_reason reason, const mien_quality *q, char *ret, size_t capacity)
{
    mien_quality_gate g;
    mien_quality_gate_init(&g);
    ret[0] = '\0';
    switch (reason) {
    case MIEN_REASON_TOO_SMALL:
        snprintf(ret, capacity, "eyes %.0f px apart, at least %.0f", (double)q->eye_distance_px,
                 (double)g.min_eye_distance_px);
        break;
    case MIEN_REASON_TOO_BLURRED:
        snprintf(ret, capacity, "sharpness %.2f, at least %.2f", (double)q->sharpness,
                 (double)g.min_sharpness);
        break;
    case MIEN_REASON_TOO_TURNED:
        snprintf(ret, capacity, "turned by %.0f, nodding by %.0f degrees, at most %.0f and %.0f",
                 fabs((double)q->yaw_deg), fabs((double)q->pitch_deg), (double)g.max_yaw_deg,
                 (double)g.max_pitch_deg);
        break;
    case MIEN_REASON_TOO_DARK:
        snprintf(ret, capacity, "brightness %.2f, at least %.2f", (double)q->brightness,
                 (double)g.min_brightness);
        break;
    case MIEN_REASON_TOO_BRIGHT:
        snprintf(ret, capacity, "brightness %.2f, at most %.2f; %.0f %% overexposed, at most %.0f %%",
                 (double)q->brightness, (double)g.max_brightness, 100 * (double)q->overexposed,
                 100 * (double)g.max_overexposed);
        break;
    case MIEN_REASON_CUT_OFF:
        snprintf(ret, capacity, "%.0f %% of it in the picture, at least %.0f %%", 100 * (double)q->inside,
                 100 * (double)g.min_inside);
        break;
    default:
        break;
    }
}
