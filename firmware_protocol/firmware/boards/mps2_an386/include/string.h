/* What the programs of this board use of <string.h>; a bare-metal compiler may come without a C library. See memory.c. */
#ifndef NX_STRING_H
#define NX_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
size_t strlen(const char *text);

#endif
