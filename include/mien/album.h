/* Albums: the faces of a collection of pictures, the groups they fell into, names, and what people corrected.
 *
 * One SQLite file, or none (in memory). New pictures join the groups there are; groups and their names never
 * change by themselves. Every call is one transaction, written through to the disk before it returns.
 *
 * The file holds face vectors, from which a face can be rebuilt: it is as sensitive as the pictures. It is
 * made readable by its owner alone, and what is removed is overwritten; it is not encrypted.
 *
 * Threads: an album belongs to one thread. One process at a time writes; others wait up to ten seconds.
 */
#ifndef MIEN_ALBUM_H
#define MIEN_ALBUM_H

#include <mien/cluster.h>
#include <mien/face.h>
#include <mien/quality.h>
#include <stdint.h>

MIEN_BEGIN_DECLS

typedef struct mien_album mien_album;

enum { MIEN_ALBUM_NAME_BYTES = 1000 /**< longest name, UTF-8 */, MIEN_ALBUM_UNDO_STEPS = 100 };

/** Open an album, making it when it is not there.
 *  @param path   NULL: in memory, gone when freed
 *  @param model  what the vectors are of, e.g. the digest or name of the embedder: noted in a new album,
 * compared with what an old one has noted
 *  @param dim    floats of a vector
 *  @return MIEN_OK; E_GALLERY_FORMAT (not an album, or of a newer version), E_GALLERY_CORRUPT,
 * E_GALLERY_MODEL, E_GALLERY_BUSY, E_IO, E_NOMEM, E_ARG */
MIEN_API MIEN_MUST_USE mien_status mien_album_open(const char *path, const char *model, size_t dim,
                                                   mien_album **ret, mien_error *err);
MIEN_API void mien_album_free(mien_album *album);

/* ---- pictures and faces ---- */

/** A picture as a file: another size or time means that it was changed. */
typedef struct mien_album_picture {
    const char *path; /**< its name in the album */
    int64_t bytes, time_ns;
    int width, height; /**< px; 0 when unknown */
} mien_album_picture;

/** A face to add. */
typedef struct mien_album_new_face {
    mien_face face; /**< px of the picture */
    float quality;  /**< higher is better: who represents a group; 0: too poor to be grouped, kept in no group
                         until somebody puts it into one */
    const float *vec;    /**< [dim] unit vector */
    const uint8_t *crop; /**< a small picture of the face to keep, in any format, at most 1 MiB; NULL: none */
    size_t crop_bytes;
    const mien_quality *measured; /**< to keep, for mien_album_quality(); NULL: nothing */
} mien_album_new_face;

/** Ask whether the album holds this very picture. */
MIEN_API MIEN_MUST_USE mien_status mien_album_has(mien_album *album, const mien_album_picture *picture,
                                                  int *ret_has, mien_error *err);
/** Add a picture with its faces, none of them in a group yet. Replaces one of the same path. */
MIEN_API MIEN_MUST_USE mien_status mien_album_add(mien_album *album, const mien_album_picture *picture,
                                                  const mien_album_new_face *faces, size_t n,
                                                  mien_error *err);
/** Remove a picture and its faces; their vectors are overwritten in the file. E_NOT_FOUND. */
MIEN_API MIEN_MUST_USE mien_status mien_album_remove(mien_album *album, const char *path, mien_error *err);

/** Told of a picture and how many faces it has; the picture is lent. Return non-zero to stop. */
typedef int (*mien_album_picture_fn)(void *user, const mien_album_picture *picture, size_t n_faces);
/** Go through the pictures in order of their paths. The album must not be changed meanwhile.
 *  @return MIEN_OK, also when stopped */
MIEN_API MIEN_MUST_USE mien_status mien_album_pictures(mien_album *album, mien_album_picture_fn fn,
                                                       void *user, mien_error *err);
/** Copy a face's vector.
 *  @param ret  [dim].  @return MIEN_OK; E_NOT_FOUND */
MIEN_API MIEN_MUST_USE mien_status mien_album_vector(mien_album *album, int64_t face, float *ret,
                                                     mien_error *err);
/** Copy the small picture kept of a face.
 *  @return MIEN_OK; E_NOT_FOUND: no such face, or none was kept
 *  @ownership *ret_data is freed with mien_image_data_free() */
MIEN_API MIEN_MUST_USE mien_status mien_album_crop(mien_album *album, int64_t face, uint8_t **ret_data,
                                                   size_t *ret_bytes, mien_error *err);
/** What was measured on a face when it was added.
 *  @return MIEN_OK; E_NOT_FOUND: no such face, or nothing was kept */
MIEN_API MIEN_MUST_USE mien_status mien_album_quality(mien_album *album, int64_t face, mien_quality *ret,
                                                      mien_error *err);

/** Count faces: all, and those of no group. */
MIEN_API MIEN_MUST_USE mien_status mien_album_count(mien_album *album, size_t *ret_faces, size_t *ret_free,
                                                    mien_error *err);

/* ---- grouping ---- */

/** Someone known by name: faces like this join the group of that name, which is made when it is not there. */
typedef struct mien_album_person {
    const char *name;
    const float *vec; /**< [dim] unit vector */
} mien_album_person;

typedef struct mien_album_grouped {
    size_t n_joined; /**< faces that joined groups there were, or people */
    size_t n_new;    /**< new groups */
} mien_album_grouped;

/** Group the faces that are in no group: see mien_cluster(). Corrections hold.
 *  @param people  [n] may be NULL
 *  @param anew    1: dissolve the groups that nobody has named or corrected first; empties the undo history
 *  @param ret     may be NULL */
MIEN_API MIEN_MUST_USE mien_status mien_album_group(mien_album *album, const mien_cluster_opts *opts,
                                                    const mien_album_person *people, size_t n, int anew,
                                                    mien_album_grouped *ret, mien_error *err);

/* ---- what there is ---- */

typedef struct mien_album_face {
    int64_t id;       /**< positive, never used again */
    int64_t group;    /**< 0: none */
    const char *path; /**< of its picture */
    mien_face face;
    float quality, similarity, confidence; /**< as in mien_cluster_face, when it was last grouped */
    int representative;
} mien_album_face;

typedef struct mien_album_group_info {
    int64_t id;       /**< positive, never used again */
    const char *name; /**< "" when it has none */
    size_t first, n;  /**< its faces in mien_album_list.faces */
} mien_album_group_info;

/** A copy of all there is: groups, largest first; faces by group, the representative first, then by
 * confidence; those of no group last. */
typedef struct mien_album_list {
    const mien_album_group_info *groups;
    size_t n_groups;
    const mien_album_face *faces;
    size_t n_faces;
} mien_album_list;

/** @ownership free *ret with mien_album_list_free(), which accepts NULL */
MIEN_API MIEN_MUST_USE mien_status mien_album_list_new(mien_album *album, mien_album_list **ret,
                                                       mien_error *err);
MIEN_API void mien_album_list_free(mien_album_list *list);

/** Find a group by its name or its number in digits. E_NOT_FOUND. */
MIEN_API MIEN_MUST_USE mien_status mien_album_find(mien_album *album, const char *group, int64_t *ret,
                                                   mien_error *err);

/* ---- corrections: each can be taken back ---- */

/** Name a group; "" takes its name. E_EXISTS when another group has it: merge them. */
MIEN_API MIEN_MUST_USE mien_status mien_album_name(mien_album *album, int64_t group, const char *name,
                                                   mien_error *err);
/** This face is not that group's person: it leaves the group and never joins it again. */
MIEN_API MIEN_MUST_USE mien_status mien_album_not(mien_album *album, int64_t face, int64_t group,
                                                  mien_error *err);
/** The faces of `from` join `into`, which keeps its name or takes that of `from`; `from` is gone. */
MIEN_API MIEN_MUST_USE mien_status mien_album_merge(mien_album *album, int64_t into, int64_t from,
                                                    mien_error *err);
/** Faces, of any groups or none, make a new group; they never join again the groups that they leave. */
MIEN_API MIEN_MUST_USE mien_status mien_album_split(mien_album *album, const int64_t *faces, size_t n,
                                                    int64_t *ret_group, mien_error *err);
/** Faces, of other groups or none, are that group's person: they join it, though it was said that they are
 * not, and never join again the groups that they leave. */
MIEN_API MIEN_MUST_USE mien_status mien_album_give(mien_album *album, int64_t group, const int64_t *faces,
                                                   size_t n, mien_error *err);
/** Take back the last correction that has not been taken back. E_NOT_FOUND when there is none.
 *  @param ret_what  one line for people without names, [capacity]; NULL */
MIEN_API MIEN_MUST_USE mien_status mien_album_undo(mien_album *album, char *ret_what, size_t capacity,
                                                   mien_error *err);
/** Say what mien_album_undo() would take back, without doing it. E_NOT_FOUND when there is nothing.
 *  @param ret_what  as there; "" when not found */
MIEN_API MIEN_MUST_USE mien_status mien_album_undo_next(mien_album *album, char *ret_what, size_t capacity,
                                                        mien_error *err);

MIEN_END_DECLS

#endif
