/* libFuzzer target of the codec: build with clang -fsanitize=fuzzer,address,undefined, see docs/porting.md.
 *
 * The first byte chooses: a stream into the deframer; one payload past the framing (no fuzzer guesses a CRC); or bytes
 * to frame and read back. Whatever the codec reads is a heap copy of exactly its size, whatever it writes is heap
 * memory of exactly its room: so the first byte beside either is seen. Wrong results end in abort(). */
#include <stdlib.h>
#include <string.h>

#include "nexus_frame.h"
#include "nexus_messages.h"

#ifdef NX_PLANTED_OVERREAD /* the control: one payload is said to be a byte longer than it is */
#define PLANTED(name) (strcmp(#name, "log_message") == 0 ? 1u : 0u)
#else
#define PLANTED(name) 0u
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *made(size_t n)
{
    void *memory = malloc(n > 0 ? n : 1);

    if (memory == NULL) {
        abort();
    }
    return memory;
}

static uint8_t *copied(const uint8_t *from, size_t n)
{
    uint8_t *copy = made(n);

    memcpy(copy, from, n);
    return copy;
}

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* What can be read is written again as the same bytes, and not into one byte less. */
#define ROUND_TRIP(name)                                                        \
    static void round_trip_##name(const uint8_t *data, size_t n)                \
    {                                                                           \
        struct nx_##name *m = made(sizeof *m);                                  \
        uint8_t *in = copied(data, n);                                          \
        uint8_t *out = made(n);                                                 \
        size_t used;                                                            \
                                                                                \
        if (nx_get_##name(m, in, n + PLANTED(name))) {                          \
            used = nx_put_##name(m, out, n);                                    \
            must(used > 0 && used <= n && memcmp(in, out, used) == 0);          \
            free(out);                                                          \
            out = made(used - 1);                                               \
            must(nx_put_##name(m, out, used - 1) == 0);                         \
        }                                                                       \
        free(out);                                                              \
        free(in);                                                               \
        free(m);                                                                \
    }
NX_EACH_PAYLOAD(ROUND_TRIP)

#define VALIDATE(name)                                                          \
    static void validate_##name(const uint8_t *data, size_t n)                  \
    {                                                                           \
        struct nx_##name *m = made(sizeof *m);                                  \
                                                                                \
        if (nx_get_##name(m, data, n)) {                                        \
            (void)nx_valid_##name(m);                                           \
        }                                                                       \
        free(m);                                                                \
    }
NX_EACH_CHECKED(VALIDATE)

typedef void entry(const uint8_t *data, size_t n);

#define TRIP_ENTRY(name) round_trip_##name,
#define VALID_ENTRY(name) validate_##name,
static entry *const entries[] = {NX_EACH_PAYLOAD(TRIP_ENTRY) NX_EACH_CHECKED(VALID_ENTRY)};
enum { ENTRIES = sizeof entries / sizeof entries[0], STREAM = ENTRIES, FRAME, WAYS };

static void stream(const uint8_t *data, size_t n)
{
    struct nx_deframer *d = made(sizeof *d);
    const uint8_t *message = NULL;
    uint8_t *bytes = copied(data, n);
    size_t frames = 0;
    size_t i;

    nx_deframer_init(d);
    for (i = 0; i < n; i++) {
        const size_t length = nx_deframe(d, bytes[i], &message);

        frames += bytes[i] == 0 && i > 0 && bytes[i - 1] != 0;
        if (length > 0) {
            must(length >= NX_MESSAGE_HEADER_SIZE && length <= NX_MAX_MESSAGE);
            round_trip_message_header(message, length);
        }
    }
    must(d->good + d->bad_cobs + d->bad_crc + d->bad_length == frames); /* nothing is lost without a count */
    free(bytes);
    free(d);
}

static void frame(const uint8_t *data, size_t n)
{
    const size_t room = n + NX_FRAME_OVERHEAD;
    uint8_t *message = copied(data, n);
    uint8_t *framed = made(room);
    const size_t used = nx_frame(message, n, framed, room);
    struct nx_deframer d;
    const uint8_t *again = NULL;
    size_t length = 0;
    size_t i;

    must(used == (n >= NX_MESSAGE_HEADER_SIZE && n <= NX_MAX_MESSAGE ? room : 0));
    nx_deframer_init(&d);
    for (i = 0; i < used; i++) {
        must(length == 0);
        length = nx_deframe(&d, framed[i], &again);
    }
    must(used == 0 || (length == n && memcmp(again, message, n) == 0));
    free(framed);
    free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned way;

    if (size == 0) {
        return 0;
    }
    way = data[0] % WAYS;
    data++;
    size--;
    if (way == STREAM) {
        stream(data, size);
    } else if (way == FRAME) {
        frame(data, size);
    } else {
        entries[way](data, size);
    }
    return 0;
}
