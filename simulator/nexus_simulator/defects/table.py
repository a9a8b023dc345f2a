"""Names of the defects: ``sim:?defect=NAME`` is a tool that is wrong in this one way and right in every other."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nexus_simulator.defects import conversation as talk
from nexus_simulator.defects import lines, memory
from nexus_simulator.defects import streaming as flow
from nexus_simulator.defects.base import (
    DATA,
    RESPONSES,
    STREAM,
    Answer,
    Defective,
    answering,
    leaving,
    saying,
    swapping,
)
from nexus_simulator.firmware.processor import Firmware
from nexus_simulator.link import Link
from nexuslink.protocol.envelope import Request
from nexuslink.protocol.messages import (
    CalibrationReadRequest,
    ConfigureResponse,
    ErrorsResponse,
    HelloResponse,
    InfoResponse,
    MessageType,
    Opcode,
    SelfTestResponse,
    Status,
    TareResponse,
    TimeSyncResponse,
    UnlockResponse,
)


@dataclass(frozen=True, slots=True)
class Defect:
    """One row: what is wrong, in words, and the parts that do it."""

    doc: str
    firmware: type[Firmware] = Firmware
    link: type[Link] = Link


def _of(firmware: type[Firmware]) -> Defect:
    return Defect((firmware.__doc__ or "").splitlines()[0], firmware)


def _on(link: type[Link]) -> Defect:
    return Defect((link.__doc__ or "").splitlines()[0], link=link)


def _status_with(layout: str, at: int, value: int | None) -> type[Defective]:
    """STATUS with another number at a place of its payload; None: one more than is true."""

    def change(message: bytes) -> Iterable[bytes]:
        out = bytearray(message)
        true = struct.unpack_from(layout, out, 4 + at)[0]
        struct.pack_into(layout, out, 4 + at, true + 1 if value is None else value)
        return (bytes(out),)

    return leaving(change, (MessageType.STATUS,))


def _made_as(**changes: Any) -> type[Defective]:
    """A tool that left the factory otherwise: fields of stream 1, or (``record_...``) of its record."""

    class Made(Defective):
        def __init__(self, identity: Any, *args: Any) -> None:
            of_record = {n.removeprefix("record_"): v for n, v in changes.items() if n.startswith("record_")}
            of_stream = {n: v for n, v in changes.items() if not n.startswith("record_")}
            streams = (identity.streams[0], replace(identity.streams[1], **of_stream))
            record = replace(identity.record, **of_record)
            super().__init__(replace(identity, streams=streams, record=record), *args)

    return Made


def _strange_quantity() -> type[Defective]:
    class Strange(Defective):
        def __init__(self, identity: Any, *args: Any) -> None:
            imu = identity.streams[1]
            groups = (replace(imu.groups[0], quantity=77), imu.groups[1])
            super().__init__(replace(identity, streams=(identity.streams[0], replace(imu, groups=groups))), *args)

    return Strange


class _SilentUnknown(Defective):
    """An unknown opcode is not answered."""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """Nothing."""
        return None if status is Status.UNKNOWN_OPCODE else (status, payload)


class _SilentCrowd(Defective):
    """What is too many at once is not answered."""

    def answer(self, request: Request, status: Status, payload: bytes) -> Answer | None:
        """Nothing."""
        return None if status is Status.BUSY else (status, payload)


def _end_is_far(request: Request, status: Status, payload: bytes) -> Answer:
    asked = CalibrationReadRequest.unpack(request.payload)
    beyond = asked is not None and asked.offset >= int.from_bytes(payload[:2], "little")
    return (Status.OUT_OF_RANGE, b"") if beyond and status is Status.OK else (status, payload)


def _no_pulse(request: Request, status: Status, payload: bytes) -> Answer:
    return (Status.FAILED, b"") if request.payload[:1] == b"\x02" and status is Status.OK else (status, payload)


_OK, _RANGE, _STATE, _BAD = Status.OK, Status.OUT_OF_RANGE, Status.BAD_STATE, Status.BAD_REQUEST

DEFECTS: Mapping[str, Defect] = {
    # frames
    "wrong-crc": _on(lines.WrongCrc),
    "slow-resync": _on(lines.SlowResync),
    "overrun": _on(lines.Overrun),
    "tired-of-zeros": _on(lines.TiredOfZeros),
    "counts-zeros": _on(lines.CountsZeros),
    "whole-writes": _on(lines.WholeWrites),
    "one-a-write": _on(lines.OneAWrite),
    "no-check": _on(lines.NoCheck),
    "never-counts": _on(lines.NeverCounts),
    "answers-anything": _of(talk.AnswersAnything),
    # who is there
    "other-major": Defect("HELLO says major 2.", saying(Opcode.HELLO, HelloResponse, protocol_major=2)),
    "other-schema": Defect("The schema's hash is another one.", saying(Opcode.HELLO, HelloResponse, schema_hash=1)),
    "any-major": Defect("Any major is welcome.", swapping(Opcode.HELLO, Status.UNSUPPORTED_VERSION, _OK)),
    "no-later-minor": _of(talk.WelcomesNobodyNew),
    "two-names": _of(talk.TwoNames),
    "new-boot-id": _of(talk.ChangesBootId),
    "tiny-link": Defect("Says a link of 24 bytes.", saying(Opcode.HELLO, HelloResponse, max_message=24)),
    # requests and answers
    "silent-unknown": _of(_SilentUnknown),
    "reads-halves": _of(talk.ReadsHalves),
    "refuses-more": _of(talk.RefusesMore),
    "minds-flags": _of(talk.MindsFlags),
    "deaf-to-retries": _of(talk.DeafToRetries),
    "remembers-nothing": _of(talk.RemembersNothing),
    "remembers-one": _of(talk.RemembersOne),
    "remembers-by-id": _of(talk.RemembersById),
    "remembers-busy": _of(talk.RemembersBusy),
    "never-forgets": _of(talk.NeverForgets),
    "silent-crowd": _of(_SilentCrowd),
    "mixes-ids": _of(talk.MixesIds),
    "dead-answer-seq": Defect("seq of responses stays.", leaving(talk.same_seq, RESPONSES)),
    "answers-twice": Defect("Each response comes twice.", leaving(talk.twice, RESPONSES)),
    "talkative": Defect("Refusals carry a payload.", leaving(talk.talkative, RESPONSES)),
    "no-motor": _of(talk.NoMotor),
    "any-stream": Defect("DESCRIBE beyond is BAD_REQUEST.", swapping(Opcode.DESCRIBE, _RANGE, _BAD)),
    "needs-stream": _of(talk.NeedsStream),
    # description
    "info-beyond": Defect("INFO is out of range.", saying(Opcode.INFO, InfoResponse, calibration_size=2000)),
    "reserved-bits": Defect("INFO has bits without a meaning.",
                            saying(Opcode.INFO, InfoResponse, capabilities=lambda bits: bits | 0x10000)),
    "other-calibration": Defect("INFO names another record.", saying(Opcode.INFO, InfoResponse, calibration_id=7)),
    "strange-quantity": Defect("A channel group measures what nobody knows.", _strange_quantity()),
    "impossible-rate": Defect("A stream runs below its lowest rate.", _made_as(rate_min_hz=600.0)),
    "counts-info": _of(talk.CountsInfo),
    "wrong-description-crc": Defect("description_crc is wrong.",
                                    saying(Opcode.HELLO, HelloResponse, description_crc=lambda crc: crc ^ 1)),
    "stale-description-crc": _of(talk.StaleChecksum),
    # clock
    "half-echo": Defect("TIME_SYNC echoes 32 bits only.",
                        saying(Opcode.TIME_SYNC, TimeSyncResponse, host_send_ns=lambda ns: ns & 0xFFFFFFFF)),
    "sent-before-received": Defect("TIME_SYNC's stamps are turned.",
                                   saying(Opcode.TIME_SYNC, TimeSyncResponse, device_send_us=lambda us: us - 1000)),
    "milliseconds": Defect("TIME_SYNC's stamps are milliseconds.",
                           saying(Opcode.TIME_SYNC, TimeSyncResponse, device_receive_us=lambda us: us // 1000,
                                  device_send_us=lambda us: us // 1000)),
    # stream
    "data-before-start": _of(flow.Impatient),
    "data-after-stop": _of(flow.Lingers),
    "dead-seq": Defect("seq of stream messages stays 0.", leaving(flow.numberless, STREAM)),
    "seq-goes-on": _of(flow.GoesOnCounting),
    "seq-counts-drops": Defect("A dropped message takes its seq with it.", flow.with_sessions(flow.NumbersDrops)),
    "index-jumps": Defect("Batches are lost and not counted.", flow.with_sessions(flow.LosesBatches)),
    "t0-off": _of(flow.OwnTimes),
    "time-runs-back": _of(flow.BackInTime),
    "padded": Defect("DATA has bytes too many.", leaving(flow.padded, DATA)),
    "over-max-message": _of(flow.LongMessages),
    "long-responses": _of(talk.LongResponses),
    "long-batches": Defect("Batches are too long.", flow.with_sessions(flow.LongBatches)),
    "late-batches": _of(flow.LateQueue),
    "no-status": _of(flow.NoStatus),
    "slow-status": _of(flow.SlowStatus),
    "overcharged": Defect("STATUS says 120 % battery.", _status_with("<B", 8, 120)),
    "produced-more": Defect("STATUS counts one message too many.", _status_with("<I", 11, None)),
    "other-link": Defect("STATUS says another max_message.", _status_with("<H", 21, 100)),
    "slow-sensors": Defect("Sensors are 2.5 % slow.", flow.with_sessions(flow.Slow)),
    "sent-more": Defect("Totals count one message too many.", flow.with_sessions(flow.CountsOneMore)),
    "made-fewer": Defect("Totals count too few samples.", flow.with_sessions(flow.CountsFewerSamples)),
    "flagged": Defect("Stream messages have a reserved flag.", leaving(flow.flagged, STREAM)),
    "unknown-type": _of(flow.Events),
    # sessions
    "one-session": _of(flow.OneSession),
    "never-runs": _of(flow.NeverRuns),
    "forgets-at-stop": _of(flow.ForgetsAtStop),
    "starts-again": _of(flow.StartsAgain),
    "all-streams": _of(flow.AllStreams),
    "starts-nothing": Defect("START of nothing is BAD_REQUEST.", swapping(Opcode.START, _RANGE, _BAD)),
    "streams-on": _of(flow.StreamsOn),
    "loses-unsettled": _of(flow.LosesUnsettled),
    # tare and configuration
    "wrong-mean": Defect("TARE is one count off.",
                         saying(Opcode.TARE, TareResponse, mean_counts=lambda mean: (mean[0] + 1, mean[1]))),
    "tares-always": _of(flow.TaresAlways),
    "any-window": Defect("A window beyond is BAD_REQUEST.", swapping(Opcode.TARE, _RANGE, _BAD)),
    "configures-otherwise": Defect("CONFIGURE says another rate than DESCRIBE.",
                                   saying(Opcode.CONFIGURE, ConfigureResponse, rate_hz=lambda hz: hz + 1.0)),
    "says-only": _of(talk.SaysOnly),
    "any-wish": Defect("CONFIGURE says OK to what cannot be.", swapping(Opcode.CONFIGURE, _RANGE, _OK)),
    "all-channels": _of(flow.AllChannels),
    "configures-always": _of(flow.ConfiguresAlways),
    # calibration
    "spoilt-record": _of(memory.SpoiltRecord),
    "impossible-record": Defect("The record says a gravity of 5.", _made_as(record_gravity_m_s2=5.0)),
    "far-end": Defect("Reading beyond the record's end is refused.", answering(Opcode.CALIBRATION_READ, _end_is_far)),
    "unlocked": Defect("Writes without UNLOCK.", memory.storing("unlocked")),
    "any-code": Defect("Any code unlocks.", memory.storing("any code")),
    "any-tries": Defect("Codes may be guessed for ever.", memory.storing("any tries")),
    "open-long": Defect("UNLOCK opens for too long.", saying(Opcode.UNLOCK, UnlockResponse, open_s=1000)),
    "any-piece": Defect("Pieces need not follow each other.", swapping(Opcode.CALIBRATION_WRITE, _RANGE, _OK)),
    "any-count": Defect("A piece may be shorter than it says.", swapping(Opcode.CALIBRATION_WRITE, _BAD, _OK)),
    "any-crc": Defect("COMMIT does not look at the CRC.", memory.storing("any crc")),
    "any-record": Defect("COMMIT does not look at values.", memory.storing("any record")),
    "any-length": Defect("COMMIT does not look at the length.", memory.storing("any length")),
    "spoils": Defect("COMMIT keeps another byte than it got.", memory.storing("spoils")),
    "commits-while-streaming": Defect("COMMIT while streaming is done.", memory.storing("commits while streaming")),
    "stays-open": Defect("HELLO does not lock.", memory.storing("stays open")),
    "keeps-aside": Defect("HELLO keeps a half-written record.", memory.storing("keeps aside")),
    # parts
    "no-pulse": Defect("One haptic pattern fails.", answering(Opcode.HAPTIC, _no_pulse)),
    "any-haptic": Defect("HAPTIC beyond its range is OK.", swapping(Opcode.HAPTIC, _RANGE, _OK)),
    "dark": Defect("LIGHT fails.", swapping(Opcode.LIGHT, _OK, Status.FAILED)),
    "any-light": Defect("LIGHT beyond its range is OK.", swapping(Opcode.LIGHT, _RANGE, _OK)),
    "passes-more": Defect("SELF_TEST passes what it did not run.",
                          saying(Opcode.SELF_TEST, SelfTestResponse, passed=lambda bits: bits | 0x100)),
    "tests-always": Defect("SELF_TEST while streaming is OK.", swapping(Opcode.SELF_TEST, _STATE, _OK)),
    "one-report-more": Defect("ERRORS says one too many.",
                              saying(Opcode.ERRORS, ErrorsResponse, total=lambda total: total + 1)),
    "any-clear": Defect("ERRORS with clear 2 is OK.", swapping(Opcode.ERRORS, _RANGE, _OK)),
    "keeps-reports": _of(talk.KeepsReports),
    "chatters": _of(talk.Chatters),
    # restart
    "any-word": _of(memory.AnyWord),
    "same-boot": _of(memory.SameBoot),
    "late-start": _of(memory.LateStart),
    "forgets-totals": _of(memory.ForgetsTotals),
    "forgets-sessions": _of(memory.ForgetsSessions),
    "keeps-configuration": _of(memory.KeepsConfiguration),
}  # fmt: skip
"""Name -> defect, in the order of the suite's nouns."""
