/* The emulated tool's sensors, memory and actuators: the five functions' share that is the same on both boards. Must
 * never know: how bytes travel, or what a request means. */
#include "physics.h"

#include <string.h>

#include "app.h"
#include "nexus_frame.h"

#define RESTARTED_US 1000000u /* What the clock shows after a restart. */

static struct {
    volatile struct nx_physics *shared;
    uint32_t generation; /* Of the plan that samples must be made for. */
    uint32_t touches;
    uint64_t begins_us; /* What the clock shows at this start. */
    uint64_t held_us;  /* Until now the clock stood still for so long. */
    uint64_t shown_us; /* What it showed last. */
    uint64_t since_us; /* It has been standing since. */
    uint64_t index;    /* For this sample ... */
    uint8_t stream;    /* ... of this stream. */
    bool waiting;
    bool given_up; /* It has stood long enough for that sample. */
} bench;

uint32_t nx_physics_check(uint32_t generation, const struct nx_physics_slot *slot)
{
    uint32_t check = generation * 0x9E3779B1u + slot->index * 0x85EBCA77u + 0xC2B2AE3Du;
    for (uint32_t channel = 0; channel < NX_PHYSICS_CHANNELS; channel++) {
        check += (uint32_t)slot->counts[channel] * (0x27D4EB2Fu + 2u * channel);
    }
    return check;
}

static void copy_in(uint8_t *to, const volatile uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

static void copy_out(volatile uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

static bool payload(uint8_t *to, size_t room, const volatile uint8_t *from, uint32_t size)
{
    if (size > room) {
        return false;
    }
    copy_in(to, from, size);
    return true;
}

static void take_ranges(struct nx_ranges *to, const volatile struct nx_physics_ranges *from)
{
    to->channels = (uint8_t)from->channels;
    to->groups = (uint8_t)from->groups;
    for (uint32_t group = 0; group < 2u; group++) {
        to->choice_count[group] = (uint8_t)from->choice_count[group];
        for (uint32_t i = 0; i < NX_CHOICES_MAX; i++) {
            to->choices[group][i].full_scale = from->choices[group][i].full_scale;
            to->choices[group][i].scale = from->choices[group][i].scale;
        }
    }
}

bool nx_physics_begin(volatile struct nx_physics *shared, struct nx_tool *tool)
{
    uint8_t bytes[NX_MAX_MESSAGE];
    struct nx_hello_response hello;
    if (shared->magic != NX_PHYSICS_MAGIC || shared->version != NX_PHYSICS_VERSION
        || shared->size != sizeof(struct nx_physics) || shared->stream_count > NX_MAX_STREAMS
        || shared->record_size > sizeof tool->record) {
        return false;
    }
    memset(&bench, 0, sizeof bench);
    bench.shared = shared;
    bench.touches = shared->touches;
    memset(tool, 0, sizeof *tool);
    tool->stream_count = (uint8_t)shared->stream_count;
    if (!payload(bytes, sizeof shared->hello, shared->hello, shared->hello_size)
        || !nx_get_hello_response(&hello, bytes, shared->hello_size)
        || !payload(bytes, sizeof shared->info, shared->info, shared->info_size)
        || !nx_get_info_response(&tool->info, bytes, shared->info_size)) {
        return false;
    }
    memcpy(tool->serial_number, hello.serial_number, sizeof tool->serial_number);
    for (uint8_t stream = 0; stream < tool->stream_count; stream++) {
        if (!payload(bytes, sizeof shared->descriptor[stream], shared->descriptor[stream], shared->descriptor_size)
            || !nx_get_stream_descriptor(&tool->streams[stream], bytes, shared->descriptor_size)) {
            return false;
        }
        take_ranges(&tool->ranges[stream], &shared->ranges[stream]);
    }
    tool->record_size = (uint16_t)shared->record_size;
    copy_in(tool->record, shared->record, shared->record_size);
    tool->unlock_code = shared->unlock_code;
    tool->boot_id = shared->boot_id;
    for (uint32_t start = 0; start < shared->starts; start++) {
        uint32_t next = tool->boot_id * 1664525u + 1013904223u;
        tool->boot_id = next != 0 ? next : 1u;
    }
    bench.begins_us = shared->starts == 0 ? shared->clock_us : RESTARTED_US;
    shared->starts++;
    return true;
}

static bool take_slot(uint8_t stream, uint64_t index, struct nx_physics_slot *slot)
{
    const volatile struct nx_physics_slot *from = &bench.shared->slots[stream][index % NX_PHYSICS_SLOTS];
    slot->index = from->index;
    for (uint32_t channel = 0; channel < NX_PHYSICS_CHANNELS; channel++) {
        slot->counts[channel] = from->counts[channel];
    }
    slot->check = from->check;
    return slot->index == (uint32_t)index && slot->check == nx_physics_check(bench.generation, slot);
}

static bool ended(uint8_t stream, uint64_t index)
{
    return bench.shared->ended_plan == bench.generation && index >= bench.shared->ended_index[stream];
}

uint64_t nx_physics_clock(uint64_t timer_us)
{
    struct nx_physics_slot slot;
    int64_t skew = (int64_t)timer_us * bench.shared->skew_ppb / 1000000000;
    uint64_t raw = bench.begins_us + timer_us + (uint64_t)skew;
    if (bench.waiting) {
        if (!take_slot(bench.stream, bench.index, &slot) && !ended(bench.stream, bench.index)) {
            if (raw - bench.since_us < bench.shared->hold_max_us) {
                return bench.shown_us;
            }
            bench.given_up = true;
        }
        bench.waiting = false;
        bench.shared->held_us += (uint32_t)(raw - bench.held_us - bench.shown_us);
        bench.held_us = raw - bench.shown_us;
    }
    bench.shown_us = raw - bench.held_us;
    return bench.shown_us;
}

bool nx_physics_sample(uint8_t stream, uint64_t index, int32_t *counts)
{
    struct nx_physics_slot slot;
    if (stream >= NX_PHYSICS_STREAMS) {
        return false;
    }
    if (!take_slot(stream, index, &slot)) {
        bool same = bench.given_up && bench.stream == stream && bench.index == index;
        if (!bench.waiting && !same && !ended(stream, index)) {
            bench.waiting = true;
            bench.given_up = false;
            bench.stream = stream;
            bench.index = index;
            bench.since_us = bench.held_us + bench.shown_us;
        }
        return false;
    }
    memcpy(counts, slot.counts, sizeof slot.counts);
    bench.shared->consumed[stream] = (uint32_t)index + 1u;
    return true;
}

static void prepare(const struct nx_plan *wanted)
{
    volatile struct nx_physics_plan *plan = &bench.shared->plan;
    uint8_t bytes[4u + sizeof plan->descriptor];
    memset(bytes, 0, sizeof bytes);
    for (uint32_t i = 0; i < 4u; i++) {
        bytes[i] = (uint8_t)(wanted->session >> (8u * i));
    }
    for (uint32_t stream = 0; stream < NX_PHYSICS_STREAMS; stream++) {
        (void)nx_put_stream_descriptor(&wanted->streams[stream], bytes + 4u + stream * NX_PHYSICS_PAYLOAD,
                                       NX_PHYSICS_PAYLOAD);
        bench.shared->consumed[stream] = 0;
    }
    copy_out((volatile uint8_t *)plan, bytes, sizeof bytes);
    plan->check = nx_crc32(0, bytes, sizeof bytes);
    bench.generation = plan->generation + 1u;
    plan->generation = bench.generation;
}

static bool load(struct nx_kept *kept)
{
    uint32_t size = bench.shared->kept_size;
    kept->size = 0;
    if (size == 0) {
        return true;
    }
    if (size > kept->room || size > NX_PHYSICS_KEPT) {
        return false;
    }
    copy_in(kept->bytes, bench.shared->kept, size);
    kept->size = size;
    return nx_crc32(0, kept->bytes, size) == bench.shared->kept_check;
}

static bool store(const struct nx_kept *kept)
{
    if (kept->size > NX_PHYSICS_KEPT) {
        return false;
    }
    copy_out(bench.shared->kept, kept->bytes, kept->size);
    bench.shared->kept_check = nx_crc32(0, kept->bytes, kept->size);
    bench.shared->kept_size = (uint32_t)kept->size;
    return true;
}

static bool touched(struct nx_touch *touch)
{
    if (bench.shared->touches == bench.touches) {
        return false;
    }
    bench.touches++;
    touch->kind = (uint8_t)bench.shared->touch_kind;
    touch->value = bench.shared->touch_value;
    return true;
}

bool nx_physics_do(enum nx_task task, void *detail)
{
    volatile struct nx_physics *shared = bench.shared;
    switch (task) {
    case NX_TASK_PREPARE:
        prepare(detail);
        return true;
    case NX_TASK_HEALTH: {
        struct nx_health *health = detail;
        health->battery_percent = (uint8_t)shared->battery_percent;
        health->temperature_cdeg = (int16_t)shared->temperature_cdeg;
        return true;
    }
    case NX_TASK_TOUCH:
        return touched(detail);
    case NX_TASK_LOAD:
        return load(detail);
    case NX_TASK_STORE:
        return store(detail);
    case NX_TASK_HAPTIC: {
        const struct nx_haptic_request *haptic = detail;
        shared->haptic = (uint32_t)haptic->pattern | (uint32_t)haptic->strength_percent << 8
                         | (uint32_t)haptic->duration_ms << 16;
        shared->haptics++;
        return true;
    }
    case NX_TASK_LIGHT: {
        const struct nx_light_request *light = detail;
        shared->light = (uint32_t)light->pattern | (uint32_t)light->red << 8 | (uint32_t)light->green << 16
                        | (uint32_t)light->blue << 24;
        shared->lights++;
        return true;
    }
    case NX_TASK_SELF_TEST: {
        struct nx_self_test_response *test = detail;
        test->passed = test->run & ~shared->self_test_fails;
        return true;
    }
    case NX_TASK_ALIVE:
    case NX_TASK_RESTART:
    default:
        return false;
    }
}

void nx_physics_show(const struct nx_app *app, uint32_t rx_lost, uint32_t connection)
{
    bench.shared->clock_ms = (uint32_t)(app->now_us / 1000u);
    bench.shared->seen_connection = connection;
    bench.shared->late = app->late;
    bench.shared->rx_lost = rx_lost;
    bench.shared->stop_reason = app->stop_reason;
    bench.shared->ignored = app->ignored;
}
