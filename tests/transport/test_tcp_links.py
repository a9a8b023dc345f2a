"""TCP: servers that are not there, do not answer, reset, or take nothing; and holding a peer back."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator

import pytest
from links import Log, TcpPeer, closing, opened, run, until

from nexuslink.transport import tcp as product
from nexuslink.transport.base import TICK_S
from nexuslink.transport.errors import LinkLostError, PortNotFoundError, TransportError
from nexuslink.transport.url import make_transport

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def peer() -> Iterator[TcpPeer]:
    peer = TcpPeer()
    yield peer
    peer.release()


def refused(text: str) -> TransportError:
    async def scenario() -> TransportError:
        transport, log = make_transport(text), Log()
        with pytest.raises(TransportError) as caught:
            await transport.open(log)
        with pytest.raises(LinkLostError):
            await transport.write(b"x")
        await transport.close()
        assert log.chunks == [] and log.reasons == []
        return caught.value

    error = run(scenario())
    assert len(str(error).splitlines()) == 1
    return error


def test_nobody_listens(peer: TcpPeer) -> None:
    url = peer.transport.url
    peer.release()
    error = refused(url)
    assert isinstance(error, PortNotFoundError)
    assert str(error).startswith(f"{url}: cannot connect (")
    assert "refused" in str(error) or "Connect call failed" in str(error)
    assert str(error).endswith("; is the tool's server running?")


@pytest.mark.parametrize("host", ["a..b", "x" * 64, ".", "x" * 5000])
def test_names_that_no_host_can_have(host: str) -> None:
    error = refused(f"tcp:{host}:4810")
    assert isinstance(error, PortNotFoundError)
    assert str(error).startswith(f"tcp:{host}:4810: cannot connect (")


@pytest.fixture
def deaf_server() -> Iterator[str]:
    """The address of a server whose queue is full: the system answers no connection request at all."""
    server = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = server.getsockname()[1]
    waiting = []
    for _ in range(8):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        waiting.append(client)
    yield f"tcp:127.0.0.1:{port}"
    for client in waiting:
        client.close()
    server.close()


def test_a_server_that_never_answers(deaf_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "OPEN_TIMEOUT_S", 0.2)
    assert str(refused(deaf_server)) == f"{deaf_server}: no answer within 0.2 s; is the host on?"


def test_giving_up_before_the_server_answers(deaf_server: str) -> None:
    transport, log = make_transport(deaf_server), Log()

    async def scenario() -> None:
        opening = asyncio.create_task(transport.open(log))
        await asyncio.sleep(0.05)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert opening.cancelled()
        await transport.close()

    run(scenario())
    assert log.chunks == [] and log.reasons == []


def test_a_reset_is_told_with_its_reason(peer: TcpPeer) -> None:
    log = Log()

    async def scenario() -> None:
        await opened(peer, log)
        peer.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.hang_up()
        await until(lambda: bool(log.reasons))

    run(closing(peer, scenario))
    (reason,) = log.reasons
    assert reason.startswith(f"{peer.transport.url}: the peer closed the connection (") and "reset" in reason.lower()


def test_what_was_sent_before_the_end_arrives_before_it(peer: TcpPeer) -> None:
    log, sent = Log(), bytes(300_000)

    async def scenario() -> None:
        await opened(peer, log)
        await peer.send(sent)
        peer.client.shutdown(socket.SHUT_WR)
        await until(lambda: bool(log.reasons))

    run(closing(peer, scenario))
    assert log.data == sent
    assert log.reasons == [f"{peer.transport.url}: the peer closed the connection"]


def test_pause_holds_the_peer_back_and_loses_nothing(peer: TcpPeer) -> None:
    """Far more than the system's buffers hold: the peer has to wait, and then all of it comes."""
    log, sent = Log(), bytes(range(256)) * 100_000

    async def scenario() -> None:
        await opened(peer, log)
        peer.transport.pause()
        sending = asyncio.create_task(peer.send(sent))
        await asyncio.sleep(2.5 * TICK_S)
        assert log.data == b"" and not sending.done()
        assert len(log.ticks) >= 1, "time goes on for a link that is held back"
        peer.transport.resume()
        await sending
        await until(lambda: sum(len(c.data) for c in log.chunks[-500:]) > 0 and len(log.data) == len(sent))

    run(closing(peer, scenario))
    assert log.data == sent


def test_a_write_that_waits_when_the_peer_leaves_has_not_been_sent(peer: TcpPeer) -> None:
    async def scenario() -> None:
        await opened(peer, Log())
        writing = asyncio.create_task(peer.transport.write(bytes(20_000_000)))
        await asyncio.sleep(0.05)
        assert not writing.done()
        peer.hang_up()
        with pytest.raises(LinkLostError, match="ended during a write"):
            await writing

    run(closing(peer, scenario))


def test_ipv6(peer: TcpPeer) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 in this Python")
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with server:
        transport = make_transport(f"tcp:[::1]:{server.getsockname()[1]}")

        async def scenario() -> None:
            await transport.open(Log())
            await transport.close()

        run(scenario())
