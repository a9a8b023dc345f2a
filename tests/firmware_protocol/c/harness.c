/* The C codec on a pipe: a request a line, an answer a line, so that one process serves thousands of cases. Everything
 * handed to the codec is a heap copy of exactly its size: with ASan the first byte read or written beside it is seen.
 *
 *   crc HEX                      -> the CRC
 *   frame ROOM HEX               -> frame | none
 *   deframe HEX                  -> good bad_cobs bad_crc bad_length, then each message
 *   get NAME HEX                 -> none | valid (1, 0, - where there is no test), the same put again, the values
 *   put NAME ROOM VALUES         -> payload | none
 *   i16 ROOM VALUES, i32 likewise -> samples | none
 *
 * Values are as in the schema: integers in decimals, floats as their bits in hex, char and counted u8 in hex. No bytes
 * are "-". What goes through all fields is made from the schema: harness_messages.inc. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nexus_frame.h"
#include "nexus_messages.h"

static char *words; /* what is left of the line */

static void die(const char *why)
{
    fprintf(stderr, "harness: %s\n", why);
    exit(3);
}

static void *made(size_t n)
{
    void *memory = malloc(n > 0 ? n : 1);

    if (memory == NULL) {
        die("no memory");
    }
    return memory;
}

static const char *word(void)
{
    const char *found = strtok(words, " \n");

    words = NULL;
    if (found == NULL) {
        die("a word is missing");
    }
    return found;
}

static uint64_t next_unsigned(void)
{
    return strtoull(word(), NULL, 10);
}

static int64_t next_signed(void)
{
    return strtoll(word(), NULL, 10);
}

static float next_float(void)
{
    const uint32_t bits = (uint32_t)strtoul(word(), NULL, 16);
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static double next_double(void)
{
    const uint64_t bits = strtoull(word(), NULL, 16);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static unsigned digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10u;
}

/* The next word's bytes in memory of exactly their size. */
static uint8_t *next_bytes(size_t *n)
{
    const char *text = word();
    uint8_t *bytes;

    *n = strcmp(text, "-") == 0 ? 0 : strlen(text) / 2;
    bytes = made(*n);
    for (size_t i = 0; i < *n; i++) {
        bytes[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
    }
    return bytes;
}

static void fill_bytes(void *to, size_t room)
{
    size_t n;
    uint8_t *bytes = next_bytes(&n);

    if (n > room) {
        die("more bytes than the field holds");
    }
    memset(to, 0, room);
    memcpy(to, bytes, n);
    free(bytes);
}

static void show_bytes(const void *from, size_t n)
{
    const uint8_t *bytes = from;

    fputs(n > 0 ? " " : " -", stdout);
    for (size_t i = 0; i < n; i++) {
        printf("%02x", bytes[i]);
    }
}

static void show_float(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    printf(" %08" PRIx32, bits);
}

static void show_double(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    printf(" %016" PRIx64, bits);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A field has the very type that the schema gives it: anything else does not compile. */
#define SHOW_u8(x) printf(" %" PRIu8, _Generic((x), uint8_t: (x)))
#define SHOW_u16(x) printf(" %" PRIu16, _Generic((x), uint16_t: (x)))
#define SHOW_u32(x) printf(" %" PRIu32, _Generic((x), uint32_t: (x)))
#define SHOW_u64(x) printf(" %" PRIu64, _Generic((x), uint64_t: (x)))
#define SHOW_i16(x) printf(" %" PRId16, _Generic((x), int16_t: (x)))
#define SHOW_i32(x) printf(" %" PRId32, _Generic((x), int32_t: (x)))
#define SHOW_i64(x) printf(" %" PRId64, _Generic((x), int64_t: (x)))
#define SHOW_f32(x) show_float(_Generic((x), float: (x)))
#define SHOW_f64(x) show_double(_Generic((x), double: (x)))
#define FILL_u8(x) (x) = (uint8_t)next_unsigned()
#define FILL_u16(x) (x) = (uint16_t)next_unsigned()
#define FILL_u32(x) (x) = (uint32_t)next_unsigned()
#define FILL_u64(x) (x) = next_unsigned()
#define FILL_i16(x) (x) = (int16_t)next_signed()
#define FILL_i32(x) (x) = (int32_t)next_signed()
#define FILL_i64(x) (x) = next_signed()
#define FILL_f32(x) (x) = next_float()
#define FILL_f64(x) (x) = next_double()

struct entry {
    const char *name;
    size_t size; /* of the structure */
    size_t fixed; /* bytes on the wire */
    void (*show)(const void *message);
    void (*fill)(void *message);
    size_t (*put)(const void *message, uint8_t *out, size_t room);
    bool (*get)(void *message, const uint8_t *in, size_t n);
    int (*valid)(const void *message); /* 1, 0; -1 where there is no test */
};

#include "harness_messages.inc"

static const struct entry *next_entry(void)
{
    const char *name = word();

    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        if (strcmp(entries[i].name, name) == 0) {
            return &entries[i];
        }
    }
    die(name);
    return NULL;
}

static void show_put(uint8_t *out, size_t n)
{
    if (n > 0) {
        show_bytes(out, n);
    } else {
        fputs(" none", stdout);
    }
    free(out);
}

static void do_get(void)
{
    const struct entry *entry = next_entry();
    size_t n;
    uint8_t *in = next_bytes(&n);
    void *message = made(entry->size);
    const size_t room = n + 1;
    uint8_t *out = made(room);
    int valid;

    if (!entry->get(message, in, n)) {
        fputs(" none", stdout);
        free(out);
    } else {
        valid = entry->valid(message);
        fputs(valid < 0 ? " -" : valid > 0 ? " 1" : " 0", stdout);
        show_put(out, entry->put(message, out, room));
        entry->show(message);
    }
    free(message);
    free(in);
}

static void do_put(void)
{
    const struct entry *entry = next_entry();
    const size_t room = (size_t)next_unsigned();
    void *message = made(entry->size);
    uint8_t *out = made(room);

    memset(message, 0xA5, entry->size);
    entry->fill(message);
    show_put(out, entry->put(message, out, room));
    free(message);
}

static void do_samples(size_t size)
{
    const size_t room = (size_t)next_unsigned();
    const size_t n = (size_t)next_unsigned();
    uint8_t *out = made(room);
    void *values = made(n * size);

    for (size_t i = 0; i < n; i++) {
        if (size == 2) {
            ((int16_t *)values)[i] = (int16_t)next_signed();
        } else {
            ((int32_t *)values)[i] = (int32_t)next_signed();
        }
    }
    show_put(out, size == 2 ? nx_put_i16(values, n, out, room) : nx_put_i32(values, n, out, room));
    free(values);
}

static void do_frame(void)
{
    const size_t room = (size_t)next_unsigned();
    size_t n;
    uint8_t *message = next_bytes(&n);
    uint8_t *out = made(room);

    show_put(out, nx_frame(message, n, out, room));
    free(message);
}

static void do_deframe(void)
{
    size_t n;
    uint8_t *stream = next_bytes(&n);
    uint8_t *whole = made(n + 1); /* messages, each behind its length */
    struct nx_deframer *d = made(sizeof *d);
    const uint8_t *message = NULL;
    size_t used = 0;
    size_t length;

    nx_deframer_init(d);
    for (size_t i = 0; i < n; i++) {
        length = nx_deframe(d, stream[i], &message);
        if (length > 0) {
            whole[used++] = (uint8_t)length;
            memcpy(whole + used, message, length);
            used += length;
        }
    }
    printf(" %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32, d->good, d->bad_cobs, d->bad_crc, d->bad_length);
    for (size_t i = 0; i < used; i += 1u + whole[i]) {
        show_bytes(whole + i + 1, whole[i]);
    }
    free(d);
    free(whole);
    free(stream);
}

static void do_crc(void)
{
    size_t n;
    uint8_t *bytes = next_bytes(&n);

    printf(" %" PRIu32, nx_crc32(nx_crc32(0, bytes, n / 2), bytes + n / 2, n - n / 2));
    free(bytes);
}

int main(void)
{
    const size_t room = 1 << 20;
    char *line = made(room);
    const char *what;

    while (fgets(line, (int)room, stdin) != NULL) {
        words = line;
        what = word();
        if (strcmp(what, "get") == 0) {
            do_get();
        } else if (strcmp(what, "put") == 0) {
            do_put();
        } else if (strcmp(what, "i16") == 0) {
            do_samples(2);
        } else if (strcmp(what, "i32") == 0) {
            do_samples(4);
        } else if (strcmp(what, "frame") == 0) {
            do_frame();
        } else if (strcmp(what, "deframe") == 0) {
            do_deframe();
        } else if (strcmp(what, "crc") == 0) {
            do_crc();
        } else {
            die(what);
        }
        putchar('\n');
    }
    free(line);
    return 0;
}
