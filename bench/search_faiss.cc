/* The peer of bench/search.c: FAISS (Johnson, Douze, Jégou 2017), exact and with 4-bit product codes. */
#include "search_faiss.h"
#include <algorithm>
#include <faiss/IndexFlat.h>
#include <faiss/IndexPQFastScan.h>
#include <faiss/IndexRefine.h>
#include <memory>
#include <omp.h>

using Id = faiss::Index::idx_t;
static std::unique_ptr<faiss::IndexFlatIP> flat;
static std::unique_ptr<faiss::IndexPQFastScan> pq;
static std::unique_ptr<faiss::IndexRefine> refined;

int faiss_make(const float *vecs, size_t n, size_t dim, int threads, int with_pq)
try {
    omp_set_num_threads(threads);
    flat.reset(new faiss::IndexFlatIP((Id)dim));
    flat->add((Id)n, vecs);
    if (with_pq) {
        pq.reset(new faiss::IndexPQFastScan((int)dim, dim / 4, 4, faiss::METRIC_INNER_PRODUCT));
        pq->train((Id)std::min<size_t>(n, 20000), vecs);
        pq->add((Id)n, vecs);
        refined.reset(new faiss::IndexRefine(pq.get(), flat.get()));
    }
    return 1;
} catch (...) {
    faiss_free();
    return 0;
}

void faiss_flat(const float *queries, size_t n_q, size_t k, float *ret_sim, int64_t *ret_ids)
{
    flat->search((Id)n_q, queries, (Id)k, ret_sim, ret_ids);
}

void faiss_coded(const float *queries, size_t n_q, size_t k, double k_factor, float *ret_sim, int64_t *ret_ids)
{
    refined->k_factor = (float)k_factor;
    refined->search((Id)n_q, queries, (Id)k, ret_sim, ret_ids);
}

void faiss_free(void)
{
    refined.reset();
    pq.reset();
    flat.reset();
}
