/* The four functions that the compiler itself may call; there is no C library. Must never know: anything else. */
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

int strncmp(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i] || a[i] == '\0') {
            return (unsigned char)a[i] - (unsigned char)b[i];
        }
    }
    return 0;
}
