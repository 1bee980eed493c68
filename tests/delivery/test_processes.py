"""Deliverers that are killed: real processes, SIGKILL, and nothing lost."""

import asyncio
from collections import Counter
from email.message import EmailMessage
from subprocess import Popen

from db import session_scope
from models import ChannelKind, Delivery, DeliveryStatus
from services import deliveries
from services.core import clock
from services.permissions import Actor
from tests import processes
from tests.delivery.conftest import Configure, get, make_delivery
from tests.delivery.peers import broken_smtp, mail_url, smtp_peer

COURIERS = deliveries.LANES[ChannelKind.EMAIL].couriers


def deliverer(url: str, mail: str) -> Popen[bytes]:
    env = {"LARDER_DATABASE_URL": url, "LARDER_MAIL_URL": mail}
    return processes.start("run-task", "deliver", env=env)


async def test_one_killed_between_claim_and_send_loses_nothing(configure: Configure, ann: Actor, url: str) -> None:
    delivery = await make_delivery(ann)
    async with broken_smtp("hangs") as port:
        process = deliverer(url, mail_url(port))
        async with asyncio.timeout(processes.PATIENCE):
            while (claimed := await get(delivery)).claimed_until is None:  # noqa: ASYNC110  (only the database tells)
                await asyncio.sleep(0.05)
        processes.kill(process)

    assert claimed.status is DeliveryStatus.PENDING
    assert claimed.claimed_until is not None
    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        assert await deliveries.deliver() == "0 tried"
        with clock.frozen(claimed.claimed_until):
            assert await deliveries.deliver() == "1 tried"

    assert [message["Message-ID"] for message in peer.messages] == [f"<{delivery}@example.org>"]
    found = await get(delivery)
    # Being killed is not the message's fault, so it costs none of its attempts.
    assert (found.status, found.attempts) == (DeliveryStatus.SENT, 0)


async def test_those_killed_in_the_middle_lose_nothing_and_repeat_only_what_was_in_their_hands(
    configure: Configure, ann: Actor, url: str
) -> None:
    async with session_scope() as session:
        sent = [Delivery(user_id=ann.user_id, channel=ChannelKind.EMAIL, template="test") for _ in range(60)]
        session.add_all(sent)
    wanted = {f"<{delivery.id}@example.org>" for delivery in sent}
    kills = [20, 40]

    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        loop = asyncio.get_running_loop()
        process: list[Popen[bytes]] = []

        async def kill_at_times(_message: EmailMessage) -> None:
            if kills and len(peer.messages) >= kills[0] and process[-1].poll() is None:
                del kills[0]
                # Before it hears that its message was taken.
                processes.kill(process[-1])

        peer.on_message = kill_at_times
        for _ in range(2):
            process.append(deliverer(url, peer.url))
            await loop.run_in_executor(None, process[-1].wait, processes.PATIENCE)
            async with session_scope() as session:
                # Their leases would be over in a while.
                for delivery in sent:
                    (await session.get_one(Delivery, delivery.id)).claimed_until = None
        assert kills == []
        await deliveries.deliver()

    counts = Counter(message["Message-ID"] for message in peer.messages)
    assert set(counts) == wanted
    repeated = [count for count in counts.values() if count > 1]
    assert len(repeated) <= 2 * COURIERS
    assert {(await get(delivery.id)).status for delivery in sent} == {DeliveryStatus.SENT}
