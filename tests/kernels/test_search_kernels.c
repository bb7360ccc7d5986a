/* Every table of the scan's kernels against the reference, bit for bit: all numbers of steps, groups and
 * queries, extreme fills, buffers that end where memory ends.
 */
#include "kernel_test.h"
#include "search/kernels/search_kernels.h"

#define EACH_TABLE(k)                  \
    for (size_t t_ = 1; t_ < 16; t_++) \
        for (const mien__search_kernels *k = mien__search_kernels_nth(t_); k; k = NULL)

static void *guarded(kt_buf *b, size_t bytes)
{
    *b = kt_alloc((bytes + 3) / 4); /* whole floats: callers ask for multiples of 4 */
    return b->p;
}

static void dots_give_the_references_sums(void **state)
{
    (void)state;
    EACH_TABLE(k)
    {
        kt_start(9101);
        for (int trial = 0; trial < 300; trial++) {
            const size_t steps = 4 * (size_t)kt_int(1, trial % 10 ? 40 : 256), groups = (size_t)kt_int(1, 4),
                         n_q = (size_t)kt_int(1, MIEN__DOT_QUERIES),
                         stride = 4 * steps + 4 * (size_t)kt_int(0, 3);
            const size_t code_bytes = groups * steps * 64, q_bytes = (n_q - 1) * stride + 4 * steps;
            const int fill = kt_int(0, 4);
            kt_buf cb, qb;
            uint8_t *const codes = guarded(&cb, code_bytes);
            int8_t *const q = guarded(&qb, q_bytes);
            for (size_t i = 0; i < code_bytes; i++)
                codes[i] = (uint8_t)(fill == 0   ? kt_int(0, 255)
                                     : fill == 1 ? 255
                                     : fill == 2 ? 1
                                     : fill == 3 ? 0
                                                 : kt_int(0, 1) * 255);
            for (size_t i = 0; i < q_bytes; i++)
                q[i] = (int8_t)(fill == 0  ? kt_int(-127, 127)
                                : fill < 4 ? 127 - 254 * (trial & 1)
                                           : 254 * kt_int(0, 1) - 127);
            int32_t start[MIEN__DOT_QUERIES], want[MIEN__DOT_QUERIES][MIEN__TILE],
                got[MIEN__DOT_QUERIES][MIEN__TILE];
            for (size_t j = 0; j < n_q; j++) {
                start[j] = 0;
                for (size_t i = 0; i < 4 * steps; i++)
                    start[j] -= 128 * q[j * stride + i];
            }
            mien__search_scalar.dots(codes, groups, steps, q, stride, n_q, start, want);
            k->dots(codes, groups, steps, q, stride, n_q, start, got);
            for (size_t j = 0; j < n_q; j++)
                if (memcmp(want[j], got[j], groups * MIEN__GROUP * sizeof **got))
                    fail_msg("%s: seed %llu trial %d: steps %zu groups %zu query %zu of %zu", k->name,
                             (unsigned long long)kt_seed, trial, steps, groups, j, n_q);
            kt_free(&cb), kt_free(&qb);
        }
    }
}

static void reach_gives_the_references_bits(void **state)
{
    (void)state;
    EACH_TABLE(k)
    {
        kt_start(9102);
        for (int trial = 0; trial < 500; trial++) {
            kt_buf scale = kt_alloc(MIEN__TILE), error = kt_alloc(MIEN__TILE);
            int32_t sums[MIEN__TILE];
            for (size_t i = 0; i < MIEN__TILE; i++) {
                sums[i] = kt_int(-2000000, 2000000) * (trial % 7 ? 1 : 30);
                scale.p[i] = 0.001f + 0.001f * (kt_float() + 1);
                error.p[i] = kt_int(0, 9) ? 0.01f : -INFINITY;
            }
            const float t = 0.0007f, a = 1.01f;
            /* a bar that some value meets exactly */
            const int at = kt_int(0, MIEN__TILE - 1);
            const float x = (float)sums[at] * scale.p[at], y = x * t, z = a * error.p[at];
            const float thr = trial % 3 ? y + z : kt_float();
            const uint64_t want = mien__search_scalar.reach(sums, scale.p, error.p, t, a, thr);
            if (k->reach(sums, scale.p, error.p, t, a, thr) != want)
                fail_msg("%s: seed %llu trial %d", k->name, (unsigned long long)kt_seed, trial);
            kt_free(&scale), kt_free(&error);
        }
    }
}

static void signs_give_the_references_sums(void **state)
{
    (void)state;
    EACH_TABLE(k)
    {
        kt_start(9103);
        for (int trial = 0; trial < 300; trial++) {
            const size_t bytes = 2 * (size_t)kt_int(1, trial % 10 ? 20 : 128);
            const bool most = trial % 5 == 0;
            kt_buf pb, lb, sb;
            uint8_t *const plane = guarded(&pb, bytes * 64), *const lut = guarded(&lb, 2 * bytes * 16);
            uint16_t *const got = guarded(&sb, MIEN__TILE * 2);
            uint16_t want[MIEN__TILE];
            for (size_t i = 0; i < bytes * 64; i++)
                plane[i] = (uint8_t)kt_int(0, 255);
            for (size_t i = 0; i < 2 * bytes * 16; i++)
                lut[i] = (uint8_t)(most ? 63 : kt_int(0, 63));
            for (size_t i = 0; i < MIEN__TILE; i++)
                got[i] = want[i] = (uint16_t)kt_int(0, 65535 - 2 * 63 * (int)bytes);
            const bool add = kt_int(0, 1);
            const uint8_t(*const tables)[16] = (const uint8_t(*)[16])(const void *)lut;
            const unsigned thr = kt_int(0, 9) ? (unsigned)(63 * bytes + (size_t)kt_int(0, 40)) : 65536u;
            const uint64_t bits = mien__search_scalar.signs(plane, bytes, tables, add, thr, want);
            if (k->signs(plane, bytes, tables, add, thr, got) != bits || memcmp(got, want, sizeof want))
                fail_msg("%s: seed %llu trial %d: %zu bytes", k->name, (unsigned long long)kt_seed, trial,
                         bytes);
            kt_free(&pb), kt_free(&lb), kt_free(&sb);
        }
    }
}

static void crc32c_is_castagnolis(void **state)
{
    (void)state;
    /* RFC 3720, B.4: 32 bytes of zeros, of ones, ascending */
    static const uint32_t known[3] = { 0x8a9136aau, 0x62a8ab43u, 0x46dd794eu };
    for (size_t t = 0; t < 16; t++) {
        const mien__search_kernels *const k = mien__search_kernels_nth(t);
        for (int i = 0; k && i < 3; i++) {
            uint8_t data[8 * 32];
            uint32_t ret[8];
            for (size_t j = 0; j < sizeof data; j++)
                data[j] = (uint8_t)(i == 0 ? 0 : i == 1 ? 255 : j % 32);
            k->crc32c(data, 32, 0xffffffffu, ret);
            for (int lane = 0; lane < 8; lane++)
                assert_int_equal(~ret[lane], known[i]);
        }
    }
}

static void tables_are_as_many_as_the_cpu_has(void **state)
{
    (void)state;
    assert_ptr_equal(mien__search_kernels_nth(0), &mien__search_scalar);
    for (size_t t = 0; t < 16; t++) {
        if (mien__search_kernels_nth(t))
            print_message("%s\n", mien__search_kernels_nth(t)->name);
    }
    assert_non_null(mien__search_kernels_get());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_as_many_as_the_cpu_has),
        cmocka_unit_test(dots_give_the_references_sums),
        cmocka_unit_test(reach_gives_the_references_bits),
        cmocka_unit_test(signs_give_the_references_sums),
        cmocka_unit_test(crc32c_is_castagnolis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
