/* The typeface inside the library: the file that the build found (DejaVu Sans), taken in whole by the
 * assembler, so that a program needs no font file at run time.
 */
#include "image/draw.h"

#if defined(MIEN_FONT_FILE) && defined(__ELF__)

__asm__(".section .rodata\n"
        ".balign 16\n"
        ".globl mien__font_begin\n"
        ".hidden mien__font_begin\n"
        "mien__font_begin:\n"
        ".incbin \"" MIEN_FONT_FILE "\"\n"
        ".globl mien__font_end\n"
        ".hidden mien__font_end\n"
        "mien__font_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const uint8_t mien__font_begin[], mien__font_end[];

const uint8_t *mien__font(size_t *ret_bytes)
{
    *ret_bytes = (size_t)(mien__font_end - mien__font_begin);
    return mien__font_begin;
}

#else

const uint8_t *mien__font(size_t *ret_bytes)
{
    *ret_bytes = 0;
    return NULL;
}

#endif
