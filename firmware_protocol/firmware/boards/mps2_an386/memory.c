/* What the program needs of a C library, and the compiler of its own accord; there is none. Must never know: anything else. */
#include <stddef.h>
#include <string.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *out = to;
    const unsigned char *in = from;
    while (n-- != 0) {
        *out++ = *in++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *out = to;
    const unsigned char *in = from;
    if (out <= in) {
        return memcpy(to, from, n);
    }
    while (n-- != 0) {
        out[n] = in[n];
    }
    return to;
}

void *memset(void *to, int value, size_t n)
{
    unsigned char *out = to;
    while (n-- != 0) {
        *out++ = (unsigned char)value;
    }
    return to;
}

size_t strlen(const char *text)
{
    size_t n = 0;
    while (text[n] != '\0') {
        n++;
    }
    return n;
}
