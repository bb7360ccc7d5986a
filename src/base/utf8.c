/* UTF-8 (RFC 3629): which bytes are text. */
#include "base/base.h"

size_t mien__utf8_length(const char *text)
{
    const unsigned char *const s = (const unsigned char *)text;
    const size_t len = s[0] < 0x80                   ? 1
                       : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                       : (s[0] & 0xf0) == 0xe0       ? 3
                       : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                                     : 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

bool mien__utf8_ok(const char *text)
{
    while (*text) {
        const size_t len = mien__utf8_length(text);
        if (len == 0)
            return false;
        text += len;
    }
    return true;
}
