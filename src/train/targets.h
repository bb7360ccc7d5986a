/* What a distilled network is to follow: teachers' embeddings of clean crops, made once and kept in the run
 * folder.
 */
#ifndef MIEN_SRC_TRAIN_TARGETS_H
#define MIEN_SRC_TRAIN_TARGETS_H

#include "train/data.h"
#include "train/kernels/train_kernels.h"
#include "train/trainer.h"

/* Embed every sample of a set with a model, aligned as that model wants, mirrored and averaged with `flip`:
 * ret [n][len] unit rows. Pictures that cannot be read give a zero row. */
mien_status mien__embed_dataset(const mien__dataset *d, const mien_model *model, bool flip, unsigned threads,
                                mien_train_progress_fn progress, void *user, float *ret, mien_error *err);

/* Several teachers' embeddings side by side, each scaled by 1/sqrt(teachers), so that the cosine of two rows
 * is the mean of the teachers' cosines; then turned into `dim` numbers by the directions that keep most of it
 * (the leading eigenvectors of the second moment; no centring, which would change cosines), or padded with
 * zeros. Rows are unit length again. Kept in `path` (NULL: not), keyed by teachers and faces. ret [n][dim],
 * allocated; free with mien_free(). */
mien_status mien__targets_make(const mien__dataset *d, const mien_model *const *teachers, size_t n_teachers,
                               int dim, const char *path, unsigned threads, mien_train_progress_fn progress,
                               void *user, float **ret, mien_error *err);

/* Leading eigenvectors of the symmetric matrix a[n][n] (destroyed) by Jacobi rotations (Golub, Van Loan,
 * section 8.5): ret_vectors [k][n] rows by descending eigenvalue. */
mien_status mien__eigen_leading(double *a, int n, int k, double *ret_vectors, double *ret_values,
                                mien_error *err);

/* rgb pictures to a network's input planes by its description; n pictures of side x side. */
void mien__planes_from_rgb(const mien_model_info *info, const uint8_t *rgb, int n, int width, int height,
                           float *dst, mien__pool *pool);

#endif
