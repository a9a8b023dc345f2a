"""The grammar of addresses: what is understood, and the one line for what is not."""

from __future__ import annotations

import pytest

from nexuslink.transport.errors import TransportError, UrlError
from nexuslink.transport.serial import SerialTransport
from nexuslink.transport.tcp import TcpTransport
from nexuslink.transport.url import make_transport, parse_url, schemes

PARSED = {
    "serial:/dev/ttyACM0": ("serial", "/dev/ttyACM0", {}),
    "serial:///dev/ttyACM0": ("serial", "/dev/ttyACM0", {}),
    "serial:COM3?baud=115200": ("serial", "COM3", {"baud": "115200"}),
    "  SERIAL:COM3  ": ("serial", "COM3", {}),
    "Sim:": ("sim", "", {}),
    "sim:?script=good-psoas&speed=max": ("sim", "", {"script": "good-psoas", "speed": "max"}),
    "sim:?": ("sim", "", {}),
    "sim:?&&a=b&": ("sim", "", {"a": "b"}),
    "tcp:192.168.1.5:4810": ("tcp", "192.168.1.5:4810", {}),
    "tcp://host:1": ("tcp", "host:1", {}),
    "tcp:[::1]:4810": ("tcp", "[::1]:4810", {}),
    "serial:/dev/serial/by-id/a%3Fb%20c": ("serial", "/dev/serial/by-id/a?b c", {}),
    "x:?na%6De=%26%3D%3F%C3%A9": ("x", "", {"name": "&=?é"}),
    "x:t?a=b=c": ("x", "t", {"a": "b=c"}),
    "x:t?a=": ("x", "t", {"a": ""}),
    "serial:%zz": ("serial", "%zz", {}),
}


@pytest.mark.parametrize("text", PARSED)
def test_what_is_understood(text: str) -> None:
    url = parse_url(text)
    assert (url.scheme, url.target, dict(url.params)) == PARSED[text]
    assert url.text == text.strip()


WRITE = "is not a tool's address: write scheme:target, for example serial:/dev/ttyACM0 or sim:"
TCP = "write tcp:HOST:PORT with a port from 1 to 65535"
SERIAL = "write serial:PORT, for example serial:/dev/ttyACM0"
CONTROL = "has a line break or another control character in it"
REFUSED = {
    "": f"'' {WRITE}",
    "   ": f"'   ' {WRITE}",
    "ttyACM0": f"'ttyACM0' {WRITE}",
    ":/dev/ttyACM0": f"':/dev/ttyACM0' {WRITE}",
    "serial:": f"'serial:': {SERIAL}",
    "serial:?baud=9600": f"'serial:?baud=9600': {SERIAL}",
    "serial:COM3?baud": "'serial:COM3?baud': 'baud' is not name=value",
    "serial:COM3?=9600": "'serial:COM3?=9600': '=9600' is not name=value",
    "serial:COM3?baud=1&baud=2": "'serial:COM3?baud=1&baud=2': 'baud' is given twice",
    "serial:COM3?baud=1&b%61ud=2": "'serial:COM3?baud=1&b%61ud=2': 'baud' is given twice",
    "serial:COM3?baud=fast": "'serial:COM3?baud=fast': baud='fast' is not a baud rate from 50 to 20000000",
    "serial:COM3?baud=": "'serial:COM3?baud=': baud='' is not a baud rate from 50 to 20000000",
    "serial:COM3?baud=49": "'serial:COM3?baud=49': baud='49' is not a baud rate from 50 to 20000000",
    "serial:COM3?baud=-9600": "'serial:COM3?baud=-9600': baud='-9600' is not a baud rate from 50 to 20000000",
    "serial:COM3?bauds=9600": "'serial:COM3?bauds=9600': unknown parameter 'bauds'; did you mean 'baud'?",
    "serial:COM3?x=1": "'serial:COM3?x=1': unknown parameter 'x'; known are baud, reader",
    "serial:COM3?reader=fast": "'serial:COM3?reader=fast': reader='fast' is none of loop, thread",
    "tcp:": f"'tcp:': {TCP}",
    "tcp:host": f"'tcp:host': {TCP}",
    "tcp::4810": f"'tcp::4810': {TCP}",
    "tcp:host:": f"'tcp:host:': {TCP}",
    "tcp:host:http": f"'tcp:host:http': {TCP}",
    "tcp:host:0": f"'tcp:host:0': {TCP}",
    "tcp:host:65536": f"'tcp:host:65536': {TCP}",
    "tcp:host:-1": f"'tcp:host:-1': {TCP}",
    "tcp:host:4810/path": f"'tcp:host:4810/path': {TCP}",
    "tcp:host:1?timeout=3": "'tcp:host:1?timeout=3': unknown parameter 'timeout'; it takes none",
    "serail:/dev/ttyACM0": "'serail:/dev/ttyACM0': no transport is called 'serail'; did you mean serial: ?",
    "tpc:host:1": "'tpc:host:1': no transport is called 'tpc'; did you mean tcp: ?",
    "serial:/dev/tty\nACM0": f"'serial:/dev/tty\\nACM0' {CONTROL}",
    "serial:/dev/tty%0AACM0": f"'serial:/dev/tty%0AACM0' {CONTROL}",
    "serial:%00": f"'serial:%00' {CONTROL}",
    "tcp:ho%0dst:1": f"'tcp:ho%0dst:1' {CONTROL}",
    "sim:?script=%E2%80%A8": f"'sim:?script=%E2%80%A8' {CONTROL}",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused_and_how(text: str) -> None:
    with pytest.raises(UrlError) as caught:
        make_transport(text)
    assert str(caught.value) == REFUSED[text]
    assert isinstance(caught.value, TransportError) and isinstance(caught.value, ValueError)
    assert len(str(caught.value).splitlines()) == 1


def test_a_scheme_like_no_other_names_all_there_are() -> None:
    with pytest.raises(UrlError) as caught:
        make_transport("http://example.org")
    assert str(caught.value) == (
        f"'http://example.org': no transport is called 'http'; known are {', '.join(s + ':' for s in schemes())}"
    )
    assert "serial:, tcp:" in str(caught.value)


def test_a_port_number_of_a_thousand_digits() -> None:
    for text in ("tcp:host:" + "9" * 10_000, "serial:COM3?baud=" + "9" * 10_000):
        with pytest.raises(UrlError) as caught:
            make_transport(text)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "cls", "url"),
    [
        ("serial:///dev/ttyACM0?baud=50", SerialTransport, "serial:/dev/ttyACM0"),
        ("serial:COM3?reader=thread", SerialTransport, "serial:COM3"),
        ("tcp://host:65535", TcpTransport, "tcp:host:65535"),
        ("tcp:[::1]:1", TcpTransport, "tcp:[::1]:1"),
        ("tcp:::1:7", TcpTransport, "tcp:[::1]:7"),
    ],
)
def test_a_transport_is_made_and_says_its_address(text: str, cls: type, url: str) -> None:
    """Nothing is opened by it, and what it says can be typed again."""
    transport = make_transport(text)
    assert type(transport) is cls
    assert transport.url == url
    assert make_transport(transport.url).url == url
