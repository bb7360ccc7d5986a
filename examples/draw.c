/* Finds the faces of a photograph, prints them, and writes a copy with boxes, landmarks and scores drawn in.
 *
 *   draw IN.jpg OUT.jpg        exit 0: faces found, 1: none, 2: something failed
 *
 * Build: cc draw.c $(pkg-config --cflags --libs mien)
 */
#include <mien/mien.h>
#include <stdio.h>

enum { BOX = 0x40e0d0, DOT = 0xffd700, TEXT = 0xffffff };

static void draw_face(mien_image *image, const mien_face *face)
{
    const float side = face->x1 - face->x0;
    const float line = side > 100 ? side / 50 : 2;
    char score[16];
    mien_image_draw_box(image, face->x0, face->y0, face->x1, face->y1, line, BOX);
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        mien_image_draw_dot(image, face->landmarks[i][0], face->landmarks[i][1], line, DOT);
    snprintf(score, sizeof score, "%.2f", (double)face->score);
    /* Without FreeType the picture has no text: boxes and dots say enough. */
    if (mien_image_draw_text(image, face->x0, face->y0 - line, side > 100 ? side / 8 : 12, TEXT, score,
                             NULL) != MIEN_OK)
        return;
}

int main(int argc, char **argv)
{
    mien_error err = MIEN_ERROR_INIT;
    const mien_detect_opts opts = MIEN_DETECT_OPTS_INIT;
    mien_model *model = NULL;
    mien_detector *detector = NULL;
    mien_image *image = NULL;
    const mien_face *faces = NULL;
    size_t n = 0;
    int result = 2;
    if (argc != 3) {
        fprintf(stderr, "usage: draw IN.jpg OUT.jpg\n");
        return 2;
    }
    if (mien_model_load_default(MIEN_TASK_DETECT, &model, &err) != MIEN_OK ||
        mien_detector_new(model, &opts, &detector, &err) != MIEN_OK ||
        mien_image_load(argv[1], NULL, &image, &err) != MIEN_OK ||
        mien_detect(detector, mien_image_view_of(image), &faces, &n, &err) != MIEN_OK)
        goto done;
    for (size_t i = 0; i < n; i++) {
        printf("face %zu: %.0f,%.0f to %.0f,%.0f, score %.3f\n", i + 1, (double)faces[i].x0,
               (double)faces[i].y0, (double)faces[i].x1, (double)faces[i].y1, (double)faces[i].score);
        draw_face(image, &faces[i]);
    }
    if (mien_image_save(mien_image_view_of(image), argv[2], 0, &err) != MIEN_OK)
        goto done;
    result = n > 0 ? 0 : 1;
done:
    if (err.status != MIEN_OK)
        fprintf(stderr, "draw: %s\n", err.message);
    mien_image_free(image);
    mien_detector_free(detector);
    mien_model_free(model);
    return result;
}
