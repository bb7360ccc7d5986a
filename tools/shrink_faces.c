/* shrink_faces: copies of a folder of pictures, each made so small that its face is as wide as asked.
 *
 *   tool_shrink_faces FROM TO MIN_PX MAX_PX
 *
 * FROM holds a folder per person. The most central face of each picture is found at full size; the picture is then
 * shrunk by area averaging until that face's box is MIN_PX..MAX_PX wide, a width chosen by the picture's name alone, and
 * written as JPEG to the same place below TO. This is how a distant face reaches a camera, and what the tests of
 * fine-tuning for low resolution use. Pictures without a face are left out and counted.
 */
#include <dirent.h>
#include <errno.h>
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

typedef struct shrink {
    mien_detector *detector;
    double min_px, max_px;
    size_t written, faceless, unreadable;
} shrink;

/* A number in [0, 1) that depends on the text alone: FNV-1a. */
static double unit_of(const char *text)
{
    uint64_t h = 14695981039346656037u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return (double)(h >> 11) / 9007199254740992.0;
}

static mien_status shrink_one(shrink *s, const char *from, const char *to, const char *name, mien_error *err)
{
    mien_image *image = NULL, *small = NULL;
    const mien_face *faces = NULL;
    size_t n = 0;
    mien_status st = mien_image_load(from, NULL, &image, err);
    if (st) {
        s->unreadable++;
        return MIEN_OK;
    }
    const mien_image_view v = mien_image_view_of(image);
    if ((st = mien_detect(s->detector, v, &faces, &n, err)))
        goto done;
    const size_t at = mien_face_pick(faces, n, v.width, v.height, MIEN_PICK_CENTRAL);
    if (at == n) {
        s->faceless++;
        goto done;
    }
    const double px = s->min_px + unit_of(name) * (s->max_px - s->min_px);
    const double factor = px / (double)(faces[at].x1 - faces[at].x0);
    const int w = (int)(v.width * factor + 0.5), h = (int)(v.height * factor + 0.5);
    if ((st = mien_image_resize(v, w < 1 ? 1 : w, h < 1 ? 1 : h, &small, err)) ||
        (st = mien_image_save(mien_image_view_of(small), to, 95, err)))
        goto done;
    s->written++;
done:
    mien_image_free(small);
    mien_image_free(image);
    return st;
}

static int make_dir(const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return 0;
    fprintf(stderr, "shrink_faces: %s: %s\n", path, strerror(errno));
    return 1;
}

/* One person's folder. */
static int shrink_person(shrink *s, const char *from, const char *to, const char *person)
{
    char dir[PATH_BYTES], out[PATH_BYTES], src[2 * PATH_BYTES], dst[2 * PATH_BYTES];
    mien_error err = MIEN_ERROR_INIT;
    snprintf(dir, sizeof dir, "%s/%s", from, person);
    snprintf(out, sizeof out, "%s/%s", to, person);
    DIR *d = opendir(dir);
    if (!d || make_dir(out)) {
        if (d)
            closedir(d);
        return d ? 5 : 0; /* a file beside the folders: passed over */
    }
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(src, sizeof src, "%s/%s", dir, e->d_name);
        const char *dot = strrchr(e->d_name, '.');
        const int stem = dot ? (int)(dot - e->d_name) : (int)strlen(e->d_name);
        snprintf(dst, sizeof dst, "%s/%.*s.jpg", out, stem, e->d_name);
        if (shrink_one(s, src, dst, e->d_name, &err)) {
            fprintf(stderr, "shrink_faces: %s\n", err.message);
            closedir(d);
            return 5;
        }
    }
    closedir(d);
    rmdir(out); /* goes when it stayed empty */
    return 0;
}

int main(int argc, char **argv)
{
    mien_model *model = NULL;
    mien_error err = MIEN_ERROR_INIT;
    shrink s = { NULL, 0, 0, 0, 0, 0 };
    if (argc != 5 || (s.min_px = atof(argv[3])) < 4 || (s.max_px = atof(argv[4])) < s.min_px) {
        fputs("usage: shrink_faces FROM TO MIN_PX MAX_PX\n", stderr);
        return 2;
    }
    if (mien_model_load_default(MIEN_TASK_DETECT, &model, &err) || mien_detector_new(model, NULL, &s.detector, &err)) {
        fprintf(stderr, "shrink_faces: %s\n", err.message);
        return 4;
    }
    DIR *d = opendir(argv[1]);
    int rc = d ? make_dir(argv[2]) * 5 : 3;
    for (const struct dirent *e = d && !rc ? readdir(d) : NULL; e && !rc; e = readdir(d))
        if (e->d_name[0] != '.')
            rc = shrink_person(&s, argv[1], argv[2], e->d_name);
    if (d)
        closedir(d);
    else
        fprintf(stderr, "shrink_faces: %s: %s\n", argv[1], strerror(errno));
    printf("%zu pictures written, %zu without a face, %zu unreadable\n", s.written, s.faceless, s.unreadable);
    mien_detector_free(s.detector);
    mien_model_free(model);
    return rc;
}
