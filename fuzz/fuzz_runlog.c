/* Reader of a training run's log on arbitrary bytes. */
#include "train/runlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mien__runlog_data d = { 0 };
    if (mien__runlog_parse(data, size, &d, NULL) != MIEN_OK)
        __builtin_trap(); /* bad lines are counted, never fatal */
    for (size_t i = 0; i < d.n; i++)
        for (size_t k = 1; k < d.series[i].n; k++)
            if (!(d.series[i].steps[k] > d.series[i].steps[k - 1]))
                __builtin_trap(); /* steps ascend whatever the order of the lines */
    mien__runlog_data_clear(&d);
    return 0;
}
