/* Softmax cross entropy with label smoothing (Szegedy 2016, section 7).
 *
 *   p = softmax(z),  q = (1 - eps) [j = y] + eps / k,  L = - sum_j q_j log p_j,  dL/dz = p - q
 *
 * Everything is written in z - max z: no exponential overflows, and large logits cancel exactly.
 */
#include "train/loss.h"
#include "train/loss_rows.h"
#include <math.h>
#include <string.h>

double mien__softmax_row(const float *z, int32_t label, int k, double smoothing, double weight, float *d)
{
    mien_assert(label >= 0 && label < k);
    double top = (double)z[0], sum = 0.0, below = 0.0;
    for (int j = 1; j < k; j++)
        top = (double)z[j] > top ? (double)z[j] : top;
    const double at_label = (double)z[label] - top;
    for (int j = 0; j < k; j++) {
        const double x = (double)z[j] - top, e = exp(x);
        below += x;
        sum += e;
        d[j] = (float)e;
    }
    const double p = weight / sum, q = weight * smoothing / k;
    for (int j = 0; j < k; j++)
        d[j] = (float)((double)d[j] * p - q);
    d[label] = (float)(exp(at_label) * p - q - weight * (1.0 - smoothing));
    return log(sum) - (1.0 - smoothing) * at_label - smoothing / k * below;
}

double mien__loss_softmax(const float *logits, const int32_t *labels, int n, int k, double smoothing,
                          float *d_logits)
{
    const int counted = mien__labelled_rows(labels, n);
    const double weight = counted > 0 ? 1.0 / counted : 0.0;
    double loss = 0.0;
    for (int i = 0; i < n; i++) {
        const size_t at = (size_t)i * k;
        if (labels[i] < 0)
            memset(d_logits + at, 0, (size_t)k * sizeof *d_logits);
        else
            loss += mien__softmax_row(logits + at, labels[i], k, smoothing, weight, d_logits + at);
    }
    return loss * weight;
}
