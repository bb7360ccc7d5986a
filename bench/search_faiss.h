/* FAISS as bench/search.c sees it; search_faiss.cc where the library is there, else nothing. */
#ifndef MIEN_BENCH_SEARCH_FAISS_H
#define MIEN_BENCH_SEARCH_FAISS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0 when it could not be made. `vecs` stays the caller's and is not copied twice: the refined index shares
 * the flat one's floats. pq = 0: no coded index. */
int faiss_make(const float *vecs, size_t n, size_t dim, int threads, int pq);
void faiss_flat(const float *queries, size_t n_q, size_t k, float *ret_sim, int64_t *ret_ids);
/* IndexPQFastScan of 4-bit codes, dim / 4 of them, then the best k * k_factor compared in float. */
void faiss_coded(const float *queries, size_t n_q, size_t k, double k_factor, float *ret_sim,
                 int64_t *ret_ids);
void faiss_free(void);

#ifdef __cplusplus
}
#endif

#endif
