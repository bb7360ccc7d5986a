/* The steps of grouping. Private; see <mien/cluster.h>. */
#ifndef MIEN_SRC_CLUSTER_H
#define MIEN_SRC_CLUSTER_H

#include "base/base.h"
#include <mien/cluster.h>

/* The faces in an order of their own (cluster.c), with what the steps ask of them. */
typedef struct mien__faces {
    size_t n, dim;
    const float *vecs;        /* [n][dim] */
    const uint64_t *pictures; /* [n] 0: of none */
    const int32_t *fixed;     /* [n] */
    const uint32_t *mates;    /* [n] faces sorted by picture: those of face i's picture, itself among them, */
    const size_t *mate_start; /* [n] stand at mate_start[i] .. */
    const size_t *mate_end;   /* [n] .. mate_end[i] - 1; none when it is of no picture */
    const int32_t *nots;      /* [not_start[n]] groups that a face must not join */
    const size_t *not_start;  /* [n + 1] */
    int32_t n_fixed;          /* number after the greatest fixed group */
} mien__faces;

/* Who is near whom: face i's neighbours stand at start[i] .. start[i + 1] - 1, ascending. Symmetric. */
typedef struct mien__links {
    size_t *start; /* [n + 1] */
    uint32_t *to;
    float *similarity;
} mien__links;

/* The k nearest at or above `least` of each face, in either direction, faces of one picture apart. */
mien_status mien__links_find(const mien__faces *f, int k, float least, mien__pool *pool,
                             mien_cluster_progress_fn progress, void *user, mien__links *ret,
                             mien_error *err);
void mien__links_free(mien__links *links);

/* What a face does in a round. */
typedef enum mien__role { MIEN__OUT, MIEN__MOVES, MIEN__HELD } mien__role;

/* Labels by Chinese whispers: faces that move take the label that pulls hardest, faces that are held only
 * pull, faces that are out do neither. A label is a fixed group's number, or one of 2 n numbers after those;
 * labels of faces that are out stay as they are. Links pull from `pair` on first, from `link` on at last. */
mien_status mien__whisper(const mien__faces *f, const mien__links *links, const uint8_t *roles, double link,
                          double pair, uint64_t seed, int32_t *labels, mien_error *err);

/* A group's size and the sum of its vectors answer what the mean cosine of a face to it is. */
typedef struct mien__group {
    int32_t label;
    size_t first, n; /* its faces: members[first ..] */
} mien__group;
typedef struct mien__groups {
    mien__group *items; /* ascending label */
    size_t n;
    uint32_t *members; /* ascending within a group */
} mien__groups;
/* Collect by label; faces with MIEN_CLUSTER_NONE are left out. */
mien_status mien__groups_of(const int32_t *labels, size_t n, mien__groups *ret, mien_error *err);
void mien__groups_free(mien__groups *g);
/* The mean cosine of each member to the others of its group; 0 in a group of one. `sum` is scratch [dim]. */
void mien__group_means(const mien__faces *f, const uint32_t *members, size_t n, double *sum,
                       double *ret_means);

/* Take out of the groups (MIEN_CLUSTER_NONE) each face that moves and is not near enough the rest of its
 * group. */
mien_status mien__prune(const mien__faces *f, const uint8_t *roles, double link, double pair, int32_t *labels,
                        mien_error *err);

/* One call of mien_cluster(): the faces in their order, and what becomes of them. */
typedef struct mien__cluster_job {
    mien__faces f;
    size_t *index; /* [n] the caller's number of face i */
    float *vecs;
    uint64_t *pictures;
    int32_t *fixed, *nots, *labels, *groups;
    uint32_t *mates;
    size_t *mate_start, *mate_end, *not_start;
    uint8_t *roles;
    int32_t n_groups;
} mien__cluster_job;

/* Number the new groups as the caller will see them: largest first. */
mien_status mien__cluster_renumber(mien__cluster_job *j, mien_error *err);
/* Say of each face where it belongs and how firmly, and who represents each group. */
mien_status mien__cluster_results(const mien__cluster_job *j, const mien__links *links,
                                  const mien_cluster_input *in, const mien_cluster_opts *o,
                                  mien_cluster_face *ret, mien_error *err);

#endif
