/* Reader of a curve's text on arbitrary bytes: whatever is taken must be a curve that writes and reads back.
 */
#include <mien/decide.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mien_curve *curve = NULL, *back = NULL;
    if (mien_curve_of_json((const char *)data, size, &curve, NULL) != MIEN_OK)
        return 0;
    char *text = NULL;
    const mien_search_size crowd = { 1000, 3 };
    mien_estimate e = { 0, 0, 0, 0 };
    if (mien_curve_search_fpir(curve, 0.4, &crowd, &e, NULL) != MIEN_OK || !(e.value >= 0 && e.value <= 1) ||
        !(e.lo <= e.value && e.value <= e.hi))
        __builtin_trap();
    if (mien_curve_to_json(curve, &text, NULL) != MIEN_OK ||
        mien_curve_of_json(text, strlen(text), &back, NULL) != MIEN_OK)
        __builtin_trap();
    mien_curve_text_free(text);
    mien_curve_free(back);
    mien_curve_free(curve);
    return 0;
}
