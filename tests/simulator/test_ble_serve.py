"""`sim serve --ble`: the air of a process of its own, in real time, over sockets and a pseudo-terminal."""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from air_bench import run, until
from bleak import BleakClient, BleakScanner
from bumble import hci
from nexus_simulator.ble.backend import Radio, open_radio
from nexus_simulator.command import register
from sim_process import GUARD_S, command, process

from nexuslink.protocol.envelope import pack_request
from nexuslink.protocol.messages import (
    BATTERY_LEVEL_UUID,
    NEXUS_CONTROL_UUID,
    NEXUS_STREAM_UUID,
    SERIAL_NUMBER_UUID,
    HelloRequest,
    Opcode,
    StartRequest,
)


@contextmanager
def served(*args: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the address of the radio that it has printed."""
    with process("sim", "serve", *args) as (server, line):
        match = re.fullmatch(r"ble://SIM-00003\?radio=bumble:(.+)", line)
        assert match, (line, server.poll() is not None and server.stderr and server.stderr.read())
        yield server, match[1]
        server.send_signal(signal.SIGTERM)
        assert server.wait(GUARD_S) == 0
        assert server.stderr
        assert "Traceback" not in server.stderr.read()


@pytest.fixture(scope="module")
def tcp() -> Iterator[str]:
    """A radio on TCP, for all who do not care what was before them; its tool lets anybody pair."""
    with served("--ble", "tcp-server:127.0.0.1:0", "--seed", "3", "--battery", "61", "--bonding", "always") as (_, at):
        yield at


def client(radio: Radio, device: Any) -> BleakClient:
    return BleakClient(device, backend=radio.client_backend, **radio.client_kwargs)


async def found(radio: Radio) -> Any:
    device = await BleakScanner.find_device_by_name(
        "Nexus 03", timeout=8.0, backend=radio.scanner_backend, **radio.scanner_kwargs
    )
    assert device is not None
    return device


async def streams(link: BleakClient, seconds: float) -> list[int]:
    """Sequence numbers of what comes."""
    got: list[int] = []
    await link.start_notify(NEXUS_STREAM_UUID, lambda _, data: got.append(int.from_bytes(data[2:4], "little")))
    await link.start_notify(NEXUS_CONTROL_UUID, lambda _, data: None)
    for n, (opcode, asked) in enumerate(((Opcode.HELLO, HelloRequest(1, 0)), (Opcode.START, StartRequest(3))), 1):
        await link.write_gatt_char(NEXUS_CONTROL_UUID, pack_request(n, n, opcode, asked.pack()), response=True)
    await asyncio.sleep(seconds)
    return got


async def reads_who_it_is(address: str) -> None:
    """Plain bleak, without the product's transport; no pairing is needed for that."""
    radio = open_radio(address)
    async with client(radio, await found(radio)) as link:
        assert bytes(await link.read_gatt_char(SERIAL_NUMBER_UUID)) == b"SIM-00003"
        assert bytes(await link.read_gatt_char(BATTERY_LEVEL_UUID)) == bytes([61])
    await radio.close()


def test_a_host_that_is_none_of_ours_reads_who_it_is_over_tcp(tcp: str) -> None:
    run(reads_who_it_is(tcp), real=True)


@pytest.mark.thorough
@pytest.mark.parametrize("carrier", ["unix-server:", "pty:"])
def test_a_host_that_is_none_of_ours_reads_who_it_is(carrier: str, tmp_path: Path) -> None:
    where = carrier + (str(tmp_path / "hci") if carrier == "unix-server:" else "")
    with served("--ble", where, "--seed", "3", "--battery", "61") as (_, address):
        run(reads_who_it_is(address), real=True)
    assert not (tmp_path / "hci").exists()


def test_bumbles_own_gatt_tool_reads_who_it_is(tcp: str) -> None:
    """Another program, as its makers wrote it, in a process of its own."""
    dump = subprocess.run(
        [sys.executable, "-m", "bumble.apps.gatt_dump", tcp, "Nexus 03"],
        capture_output=True, text=True, timeout=3 * GUARD_S, check=True,
    )  # fmt: skip
    lines = re.sub(r"\x1b\[[0-9;]*m", "", dump.stdout).splitlines()
    said = {line.partition("type=")[2]: after for line, after in pairwise(lines)}
    assert bytes.fromhex(said["UUID-16:2A25 (Serial Number String))"]) == b"SIM-00003"
    assert bytes.fromhex(said["UUID-16:2A29 (Manufacturer Name String))"]) == b"nexuslink (simulated)"
    assert bytes.fromhex(said["UUID-16:2A19 (Battery Level))"]) == bytes([61])
    assert "READ_NOT_PERMITTED" in said[f"{NEXUS_STREAM_UUID.upper()})"]


@pytest.mark.thorough
def test_a_host_in_another_process_streams_dies_and_comes_again(tcp: str) -> None:
    async def scenario(address: str) -> None:
        radio = open_radio(address)
        async with client(radio, await found(radio)) as link:
            await link.pair()
            got = await streams(link, 1.0)
            assert got == list(range(len(got)))
            assert len(got) > 50
            # The host's process dies: nothing is said, the socket only closes.
            transport = radio.adapter._transport
            assert transport is not None
            await transport.close()
            await until(lambda: not link.is_connected)
        async with client(radio, await found(radio)) as link:  # after the tool's supervision time-out at the latest
            assert await streams(link, 0.5)
        await radio.close()

    run(scenario(tcp), real=True)


@pytest.mark.thorough
def test_the_button_is_a_signal(tmp_path: Path) -> None:
    bonds = tmp_path / "bonds.json"

    async def scenario(server: subprocess.Popen[str], address: str) -> None:
        radio = open_radio(address.replace("client:", "client:[passkey=4711]"))
        device = await found(radio)
        async with client(radio, device) as link:
            with pytest.raises(Exception, match="PAIRING_NOT_SUPPORTED"):
                await link.pair()
            server.send_signal(signal.SIGUSR1)
            await asyncio.sleep(0.2)
            await link.pair()
            assert await streams(link, 0.3)
        await radio.close()

    args = ("--ble", "tcp-server:127.0.0.1:0", "--seed", "3", "--pairing", "passkey", "--passkey", "4711")
    with served(*args, "--bonds", str(bonds)) as (server, address):
        run(scenario(server, address), real=True)
    assert "ltk" in bonds.read_text()


def test_two_hosts_at_once_each_with_its_own_adapter(tcp: str) -> None:
    async def scenario(address: str) -> None:
        one, two = open_radio(address), open_radio(address.replace("client:", "client:[host=2]"))
        device = await found(one)
        async with client(one, device) as link:
            assert link.is_connected
            scanner = BleakScanner(backend=two.scanner_backend, **two.scanner_kwargs)
            async with scanner:
                await asyncio.sleep(0.5)
            assert not scanner.discovered_devices  # it is connected, and does not advertise
        assert await found(two)
        await one.close()
        await two.close()

    run(scenario(tcp), real=True)


def test_bytes_that_are_not_hci_are_cut_off_and_harm_nobody(tcp: str) -> None:
    async def scenario(address: str) -> None:
        host, port = address.removeprefix("tcp-client:").rsplit(":", 1)
        for junk in (b"GET / HTTP/1.1\r\n\r\n", bytes(200), random.Random(7).randbytes(5000)):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(junk)
            with pytest.raises((ConnectionError, AssertionError)):
                async with asyncio.timeout(5.0):
                    assert await reader.read(1)
            writer.close()
        radio = open_radio(address)
        assert await found(radio)
        await radio.close()

    run(scenario(tcp), real=True)


@pytest.mark.thorough
def test_a_host_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    async def scenario(address: str) -> None:
        _reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix-client:"), limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(GUARD_S):
                while True:
                    writer.write(bytes(hci.HCI_Read_Local_Supported_Commands_Command()) * 20)
                    await writer.drain()
                    await asyncio.sleep(0.005)
        writer.close()
        radio = open_radio(address)
        assert await found(radio)
        await radio.close()

    with served("--ble", f"unix-server:{tmp_path / 'hci'}", "--seed", "3") as (_, address):
        run(scenario(address), real=True)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--ble", "nonsense:1"), "no such transport; there are: tcp-server"),
        (("--ble", "tcp-server:here"), "write tcp-server:HOST:PORT"),
        (("--ble", "unix-server:"), "write unix-server:PATH"),
        (("--ble", "unix-server:/nowhere/at/all"), "cannot be served"),
        (("--ble", "udp:nothing"), "cannot be served"),
        (("--ble", "tcp-server:127.0.0.1:0", "--pairing", "luck"), "allowed: numeric, passkey, nothing"),
        (("--ble", "tcp-server:127.0.0.1:0", "--drop", "0.1"), "a fault of a serial line"),
        (("--ble", "tcp-server:127.0.0.1:0", "--firmware", "native"), "it has no radio"),
        (("--ble", "tcp-server:127.0.0.1:0", "--bonds", "/dev/null/x"), "bonds cannot be kept there"),
        (("--tcp", "127.0.0.1:0", "--air-loss", "0.1"), "--air-loss: only with --ble"),
    ],
)
def test_a_mistake_is_one_line(args: tuple[str, ...], says: str) -> None:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    given = parser.parse_args(["sim", "serve", *args])
    with pytest.raises(ValueError, match=says) as error:
        given.run(given)
    assert "\n" not in str(error.value)


def test_without_bumble_it_says_what_to_install() -> None:
    server = command("sim", "serve", "--ble", "tcp-server:127.0.0.1:0", before="sys.modules['bumble'] = None")
    out, err = server.communicate(timeout=GUARD_S)
    assert (server.returncode, out) == (2, "")
    assert err == "--ble: the virtual radio needs bumble: pip install nexuslink[virtual-ble]\n"
