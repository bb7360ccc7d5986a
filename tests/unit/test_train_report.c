/* The report: well-formed, complete, self-contained, with every text escaped and the figures in it.
 *
 * MIEN_REPORT_OUT=FILE keeps the page of the full case, to be looked at in a browser. */
#include "train/report.h"
#include <mien/image.h>
#include <expat.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

enum { PEOPLE = 14, EACH = 8, N = PEOPLE * EACH, DIM = 16 };
static const char *const names[PEOPLE] = {
    "<script>alert('Mallory')</script>",
    "Bj\xc3\xb6rn \xc3\x85ngstr\xc3\xb6m",
    "O'Neil & Sons \"Q\"",
    "\xe5\xb1\xb1\xe7\x94\xb0 \xe5\xa4\xaa\xe9\x83\x8e",
    "A person with quite a long name, Jr.",
    "Eve",
    "Frank",
    "Grace",
    "Heidi",
    "Ivan",
    "Judy",
    "bad \xff utf8",
    "Niaj",
    "Olivia",
};

static double normal(mien__rng *r)
{
    const double u = 1 - mien__rng_unit(r), v = mien__rng_unit(r);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static void embeddings(float *e, int32_t *labels, double noise)
{
    mien__rng r;
    mien__rng_seed(&r, 4);
    double centre[DIM];
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int k = 0; k < DIM; k++) {
            centre[k] = i % EACH == 0 ? normal(&r) : centre[k];
            e[i * DIM + k] = (float)(centre[k] + noise * normal(&r));
            sum += (double)e[i * DIM + k] * (double)e[i * DIM + k];
        }
        for (int k = 0; k < DIM; k++)
            e[i * DIM + k] = (float)(e[i * DIM + k] / sqrt(sum));
        labels[i] = i / EACH;
    }
}

static void fill_log(mien__text *t)
{
    mien__rng r;
    mien__rng_seed(&r, 5);
    for (int s = 0; s < 1500; s++) {
        const double x = s / 1500.0, loss = 0.4 + 11 * exp(-4 * x) + 0.35 * normal(&r);
        mien__text_fmt(t,
                       "{\"step\":%d,\"loss\":%.6g,\"loss_arcface\":%.6g,\"loss_distill\":%.6g,\"lr\":%.6g,"
                       "\"grad_norm\":%.4g,\"images_s\":%.4g",
                       s, loss, 0.8 * loss, 0.2 * loss, s < 100 ? 1e-5 * s : 5e-4 * (1 + cos(3.14159 * x)),
                       3 + 5 * exp(-6 * x) + 0.2 * normal(&r), 210 + 6 * normal(&r));
        if (s % 150 == 149) {
            const double f = 0.08 + 0.5 * exp(-3 * x), a = 0.93 - 0.4 * exp(-3 * x);
            mien__text_fmt(t,
                           ",\"validation\":{\"open\":{\"far_1e-2\":{\"fnmr\":{\"value\":%.4f,\"lo\":%.4f,"
                           "\"hi\":%.4f}},\"far_1e-3\":{\"fnmr\":{\"value\":%.4f,\"lo\":%.4f,\"hi\":%.4f}}},"
                           "\"closed\":{\"accuracy\":{\"value\":%.4f,\"lo\":%.4f,\"hi\":%.4f},"
                           "\"f1\":{\"value\":%.4f}}}",
                           f, f - 0.03, f + 0.04, 1.5 * f, 1.5 * f - 0.05, 1.5 * f + 0.06, a, a - 0.04,
                           a + 0.03, a - 0.02);
        }
        mien__text_fmt(t, "}\n");
    }
}

typedef struct full {
    mien__validation before, after;
    mien__comparison comparison;
    mien__runlog_data log;
    mien__report_example examples[4];
    uint8_t *jpeg;
    size_t jpeg_bytes;
    mien__report r;
} full;

static const mien__report_data data = { 412, 9310, 14, 112, 3, 17, 2 };
static const mien__report_entry config[] = {
    { "command", "mien finetune people/ --tune last:2 --epochs 8" },
    { "loss", "ArcFace, scale 64, margin 0.5" },
    { "optimiser", "AdamW, learning rate 1e-3, weight decay 5e-4" },
    { "augmentation", "flip 0.5, rotation 0.1 rad, low resolution 12..24 px <0.4>" },
    { "seed", "1" },
};
static const mien__report_entry environment[] = { { "mien", "0.1.0" },
                                                  { "processor", "two cores, avx2" },
                                                  { "time", "11 min 20 s" } };

/* A picture drawn by code. */
static void draw_jpeg(full *f)
{
    uint8_t rgb[112 * 112 * 3];
    for (int i = 0; i < 112 * 112; i++) {
        const double dx = (i % 112 - 56) / 34.0, dy = (i / 112 - 56) / 44.0;
        const bool in = dx * dx + dy * dy < 1;
        rgb[3 * i] = in ? 205 : 90;
        rgb[3 * i + 1] = in ? 165 : 110;
        rgb[3 * i + 2] = in ? 140 : 130;
    }
    const mien_image_view view = { rgb, 112, 112, 112 * 3 };
    assert_int_equal(mien_image_encode(view, "jpeg", 85, &f->jpeg, &f->jpeg_bytes, NULL), MIEN_OK);
}

static void full_new(full *f)
{
    float before[N * DIM], after[N * DIM];
    int32_t labels[N];
    memset(f, 0, sizeof *f);
    embeddings(before, labels, 1.2);
    embeddings(after, labels, 0.85);
    mien__validate_opts o = MIEN__VALIDATE_OPTS_INIT;
    o.resamples = 200;
    o.folds = 2;
    assert_int_equal(mien__validate(before, labels, N, DIM, &o, &f->before, NULL), MIEN_OK);
    assert_int_equal(mien__validate(after, labels, N, DIM, &o, &f->after, NULL), MIEN_OK);
    assert_int_equal(mien__compare(before, DIM, after, DIM, labels, N, &o, &f->comparison, NULL), MIEN_OK);
    mien__text t;
    mien__buf log;
    mien__text_init(&t, 1 << 22, NULL);
    fill_log(&t);
    assert_int_equal(mien__text_take(&t, &log), MIEN_OK);
    assert_int_equal(mien__runlog_parse(log.data, log.size, &f->log, NULL), MIEN_OK);
    mien__buf_free(&log);
    draw_jpeg(f);
    for (int i = 0; i < 4; i++)
        f->examples[i] = (mien__report_example){ i & 1,    0.41 - 0.1 * (i & 1), 0.38,
                                                 names[i], names[i + 1],         f->jpeg,
                                                 f->jpeg,  f->jpeg_bytes,        f->jpeg_bytes };
    f->examples[3].jpeg_a = f->examples[3].jpeg_b = NULL;
    f->r = (mien__report){ "Fine-tuning of mfn_small on <people>",
                           "The new model was written to people.mien.",
                           &f->before,
                           &f->after,
                           &f->comparison,
                           &f->log,
                           &data,
                           names,
                           PEOPLE,
                           f->examples,
                           4,
                           config,
                           environment,
                           MIEN_COUNTOF(config),
                           MIEN_COUNTOF(environment) };
}

static void full_free(full *f)
{
    mien__validation_clear(&f->before);
    mien__validation_clear(&f->after);
    mien__runlog_data_clear(&f->log);
    mien_image_data_free(f->jpeg);
}

/* ---- what an XML parser sees ---- */

typedef struct seen {
    int images, svgs, titled, scripts, links, ids, depth_svg;
    char all_ids[4000];
    bool twice;
} seen;

static void on_start(void *user, const XML_Char *name, const XML_Char **attributes)
{
    seen *const s = user;
    s->svgs += strcmp(name, "svg") == 0;
    s->images += strcmp(name, "img") == 0;
    s->titled += strcmp(name, "desc") == 0;
    s->scripts += strcmp(name, "script") == 0;
    s->links += strcmp(name, "a") == 0 || strcmp(name, "link") == 0 || strcmp(name, "iframe") == 0;
    for (; *attributes; attributes += 2) {
        s->scripts += strncmp(attributes[0], "on", 2) == 0;
        if (strcmp(attributes[0], "src") == 0)
            s->links += strncmp(attributes[1], "data:image/jpeg;base64,/9j/", 27) != 0;
        s->links += strcmp(attributes[0], "href") == 0;
        if (strcmp(attributes[0], "id") == 0) {
            char key[80];
            snprintf(key, sizeof key, " %s ", attributes[1]);
            s->twice = s->twice || strstr(s->all_ids, key);
            strncat(s->all_ids, key, sizeof s->all_ids - strlen(s->all_ids) - 1);
        }
    }
}

static seen parse(const mien__buf *page)
{
    seen s = { 0 };
    XML_Parser const p = XML_ParserCreate("UTF-8");
    XML_SetUserData(p, &s);
    XML_SetStartElementHandler(p, on_start);
    if (XML_Parse(p, (const char *)page->data, (int)page->size, 1) != XML_STATUS_OK)
        fail_msg("line %lu: %s", XML_GetCurrentLineNumber(p), XML_ErrorString(XML_GetErrorCode(p)));
    XML_ParserFree(p);
    return s;
}

static void page_of(const mien__report *r, mien__buf *page)
{
    assert_int_equal(mien__report_html(r, page, NULL), MIEN_OK);
    assert_int_equal(mien__buf_append(page, "", 1, NULL), MIEN_OK);
    page->size--;
}

static void expect_percent(const char *page, double v)
{
    char text[32];
    snprintf(text, sizeof text, "%.2f %%", 100 * v);
    if (!strstr(page, text))
        fail_msg("%s is not in the page", text);
}

static void full_report_is_well_formed_and_holds_the_figures(void **state)
{
    (void)state;
    full f;
    full_new(&f);
    mien__buf page;
    page_of(&f.r, &page);
    const char *const text = (const char *)page.data;
    const char *const out = getenv("MIEN_REPORT_OUT");
    if (out)
        assert_int_equal(mien__report_write(&f.r, out, NULL), MIEN_OK);
    const seen s = parse(&page);
    assert_int_equal(s.svgs, 10); /* six courses, two histograms, DET, confusion matrix */
    assert_int_equal(s.titled, s.svgs);
    assert_int_equal(s.images, 6);
    assert_int_equal(s.scripts, 0);
    assert_int_equal(s.links, 0);
    assert_false(s.twice);
    assert_null(strstr(text, "<script"));
    assert_non_null(strstr(text, "&lt;script&gt;alert(&#39;Mallory&#39;)&lt;/script&gt;"));
    assert_non_null(strstr(text, "O&#39;Neil &amp; Sons &quot;Q&quot;"));
    assert_null(strstr(text, "url("));
    assert_null(strstr(text, "@import"));
    assert_null(strstr(text, "nan"));
    assert_int_equal(f.comparison.verdict, MIEN__BETTER);
    assert_non_null(strstr(text, "<p class=\"word\">Better</p>"));
    assert_non_null(strstr(text, "on 14 held-out people"));
    expect_percent(text, f.before.open.at[0].fnmr.value);
    expect_percent(text, f.after.open.at[0].fnmr.value);
    expect_percent(text, f.after.open.eer);
    expect_percent(text, f.after.closed.f1.value);
    assert_non_null(strstr(text, "<td class=\"n\">9310</td>"));
    assert_non_null(strstr(text, "low resolution 12..24 px &lt;0.4&gt;"));
    mien__buf_free(&page);
    full_free(&f);
}

static void pictures_are_there_only_when_handed_in(void **state)
{
    (void)state;
    full f;
    full_new(&f);
    for (int i = 0; i < 4; i++)
        f.examples[i].jpeg_a = f.examples[i].jpeg_b = NULL;
    mien__buf page;
    page_of(&f.r, &page);
    assert_int_equal(parse(&page).images, 0);
    assert_null(strstr((const char *)page.data, "base64"));
    mien__buf_free(&page);
    static const uint8_t not_jpeg[] = "GIF89a";
    f.examples[2].jpeg_b = not_jpeg;
    f.examples[2].bytes_b = sizeof not_jpeg;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien__report_html(&f.r, &page, &err), MIEN_E_ARG);
    assert_non_null(strstr(err.message, "example 2"));
    full_free(&f);
}

static void report_without_anything_is_still_a_page(void **state)
{
    (void)state;
    const mien__report bare = { .title = "Run" };
    mien__buf page;
    page_of(&bare, &page);
    const seen s = parse(&page);
    assert_int_equal(s.svgs, 0);
    assert_null(strstr((const char *)page.data, "verdict\""));
    mien__buf_free(&page);
    mien__validation v; /* all zero: nothing measured, nothing drawn that divides by it */
    memset(&v, 0, sizeof v);
    static const char log[] = "{\"step\":1,\"loss\":null}\n{\"step\":2,\"loss\":3,\"lr\":0}\n";
    mien__runlog_data d;
    assert_int_equal(mien__runlog_parse(log, sizeof log - 1, &d, NULL), MIEN_OK);
    const mien__report thin = { .title = "Run", .after = &v, .log = &d };
    page_of(&thin, &page);
    (void)parse(&page);
    assert_null(strstr((const char *)page.data, "nan"));
    assert_null(strstr((const char *)page.data, "inf"));
    mien__buf_free(&page);
    mien__runlog_data_clear(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_report_is_well_formed_and_holds_the_figures),
        cmocka_unit_test(pictures_are_there_only_when_handed_in),
        cmocka_unit_test(report_without_anything_is_still_a_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
