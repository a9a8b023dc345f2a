/* The calibration record in the tool's own memory: written only when unlocked, and only when it is whole, possible and
 * for this tool. Must never know: how the record is used. */
#include <string.h>

#include "app.h"
#include "nexus_frame.h"

#define CHECKED_FROM 8u /* The check covers what follows record_version, size and crc32. */

static bool whole(const uint8_t *bytes, size_t size, struct nx_calibration_record *record)
{
    return size >= CHECKED_FROM && nx_get_calibration_record(record, bytes, size) && record->size == size
           && record->crc32 == nx_crc32(0, bytes + CHECKED_FROM, size - CHECKED_FROM);
}

/* Two names in fixed fields, zero padded. */
static bool same_name(const char *a, const char *b, size_t room)
{
    size_t i = 0;
    while (i < room && a[i] == b[i] && a[i] != '\0') {
        i++;
    }
    return i == room || a[i] == b[i];
}

static bool usable(const struct nx_app *app, const struct nx_calibration_record *record)
{
    return nx_valid_calibration_record(record) && record->calibration_id != 0
           && same_name(record->serial_number, app->tool->serial_number, sizeof record->serial_number);
}

/* The record in use is another one: streams that name one name this. */
static void use(struct nx_app *app, const uint8_t *bytes, size_t size, uint32_t id)
{
    memmove(app->calibration.bytes, bytes, size);
    app->calibration.size = (uint16_t)size;
    app->calibration.id = id;
    for (uint8_t stream = 0; stream < app->tool->stream_count; stream++) {
        if (app->streams[stream].calibration_id != 0) {
            app->streams[stream].calibration_id = id;
        }
    }
}

void nx_calibration_load(struct nx_app *app)
{
    struct nx_kept kept = {app->calibration.aside, sizeof app->calibration.aside, 0};
    struct nx_calibration_record record;
    bool there = nx_hal_do(NX_TASK_LOAD, &kept);
    if (there && kept.size != 0 && whole(kept.bytes, kept.size, &record) && usable(app, &record)) {
        use(app, kept.bytes, kept.size, record.calibration_id);
        return;
    }
    if (!nx_get_calibration_record(&record, app->tool->record, app->tool->record_size)) {
        memset(&record, 0, sizeof record);
    }
    use(app, app->tool->record, app->tool->record_size, record.calibration_id);
    if (!there || kept.size != 0) {
        nx_health_report(app, NX_ERROR_CODE_CALIBRATION_LOST, 0);
    }
}

void nx_calibration_lock(struct nx_app *app)
{
    app->calibration.open = false;
    app->calibration.aside_size = 0;
}

static bool locked(const struct nx_app *app)
{
    return !app->calibration.open || app->now_us >= app->calibration.open_until_us;
}

uint8_t nx_calibration_unlock(struct nx_app *app, uint32_t code)
{
    if (app->calibration.wrong_codes >= NX_UNLOCK_TRIES) {
        return NX_STATUS_NOT_AUTHORISED;
    }
    if (code != app->tool->unlock_code) {
        app->calibration.wrong_codes++;
        return NX_STATUS_NOT_AUTHORISED;
    }
    app->calibration.open = true;
    app->calibration.open_until_us = app->now_us + NX_UNLOCK_S * 1000000u;
    return NX_STATUS_OK;
}

uint8_t nx_calibration_write(struct nx_app *app, const struct nx_calibration_write_request *piece)
{
    struct nx_calibration *calibration = &app->calibration;
    size_t end = (size_t)piece->offset + piece->count;
    if (piece->count == 0 || end > NX_CALIBRATION_MAX) {
        return NX_STATUS_OUT_OF_RANGE;
    }
    if (locked(app)) {
        return NX_STATUS_NOT_AUTHORISED;
    }
    if (piece->offset != 0 && piece->offset != calibration->aside_size) {
        return NX_STATUS_OUT_OF_RANGE;
    }
    memcpy(calibration->aside + piece->offset, piece->data, piece->count);
    calibration->aside_size = (uint16_t)end;
    return NX_STATUS_OK;
}

uint8_t nx_calibration_commit(struct nx_app *app, const struct nx_calibration_commit_request *wanted)
{
    struct nx_calibration *calibration = &app->calibration;
    struct nx_kept kept = {calibration->aside, sizeof calibration->aside, calibration->aside_size};
    struct nx_calibration_record record;
    if (wanted->size > NX_CALIBRATION_MAX) {
        return NX_STATUS_OUT_OF_RANGE;
    }
    if (locked(app)) {
        return NX_STATUS_NOT_AUTHORISED;
    }
    if (app->session.open) {
        return NX_STATUS_BAD_STATE;
    }
    if (wanted->size != kept.size || !nx_get_calibration_record(&record, kept.bytes, kept.size)) {
        return NX_STATUS_OUT_OF_RANGE;
    }
    if (wanted->crc32 != nx_crc32(0, kept.bytes, kept.size) || !whole(kept.bytes, kept.size, &record)) {
        return NX_STATUS_BAD_CRC;
    }
    if (!usable(app, &record)) {
        return NX_STATUS_OUT_OF_RANGE;
    }
    if (!nx_hal_do(NX_TASK_STORE, &kept)) {
        return NX_STATUS_FAILED;
    }
    use(app, kept.bytes, kept.size, record.calibration_id);
    calibration->aside_size = 0;
    return NX_STATUS_OK;
}
