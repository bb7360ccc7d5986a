/* Memory of templates, straight from the system: it comes zeroed, goes back at once, and can be kept from
 * swap and core dumps. What describes it comes from the allocator, whose hook so has a say in every one of
 * these.
 */
#include "search/index.h"
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

mien__pages *mien__pages_new(size_t bytes, bool secret)
{
    mien__pages *const pages = mien_alloc_zero(sizeof *pages);
    if (!pages)
        return NULL;
    void *const p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        mien_free(pages);
        return NULL;
    }
    *pages = (mien__pages){ p, bytes, secret, false };
    if (secret) {
        pages->locked = mlock(p, bytes) == 0;
        (void)madvise(p, bytes, MADV_DONTDUMP);
    }
    return pages;
}

void mien__pages_free(mien__pages *pages)
{
    if (!pages)
        return;
    if (pages->secret)
        sodium_memzero(pages->p, pages->bytes);
    munmap(pages->p, pages->bytes);
    mien_free(pages);
}
