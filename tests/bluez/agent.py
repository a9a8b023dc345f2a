"""The person at the guest's computer: what a desktop shows when a device wants to pair, answered from a file.

`ANSWERS` says ``{"confirm": true, "passkey": 123456}``; what it lacks is answered by "no". What was asked is appended
to `ASKED`, a line each. Run it as a process: ``agent.py CAPABILITY``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

ANSWERS = Path("/run/agent-answers")
ASKED = Path("/run/agent-asked")
PATH = "/nexus/agent"
MANAGER = ("org.bluez", "/org/bluez", "org.bluez.AgentManager1")


def answer(message: Message) -> Message | None:
    """What the person says."""
    if message.interface != "org.bluez.Agent1" or message.message_type is not MessageType.METHOD_CALL:
        return None
    with ASKED.open("a", encoding="utf-8") as file:
        file.write(json.dumps([message.member, *map(str, message.body)]) + "\n")
    answers: dict[str, Any] = json.loads(ANSWERS.read_text("utf-8")) if ANSWERS.exists() else {}
    if message.member in ("Release", "Cancel", "DisplayPasskey"):
        return Message.new_method_return(message)
    if message.member in ("RequestConfirmation", "RequestAuthorization", "AuthorizeService") and answers.get("confirm"):
        return Message.new_method_return(message)
    if message.member == "RequestPasskey" and "passkey" in answers:
        return Message.new_method_return(message, "u", [answers["passkey"]])
    return Message.new_error(message, "org.bluez.Error.Rejected", "no")


async def main(capability: str) -> None:
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    bus.add_message_handler(answer)
    while True:  # bluetoothd may still be starting, or start again
        await bus.call(Message(*MANAGER, member="RegisterAgent", signature="os", body=[PATH, capability]))
        await bus.call(Message(*MANAGER, member="RequestDefaultAgent", signature="o", body=[PATH]))
        await asyncio.sleep(1.0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
