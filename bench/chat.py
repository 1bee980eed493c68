"""Fan-out of talk: how long until 200 members of a household have heard a message, beside a bare loop.

`python -m bench.chat` does as `bench.fanout` does, with a socket for each member of one chat. Larder is measured from
the moment a message is durable, and from the request that says it, each by another member.
"""

import json
import sys
from functools import partial

from bench.contestants import Database, Stage, app_environment, start_app
from bench.fanout import AT_MOST, MESSAGES, Act, compare, figures, show, start_bare

MEMBERS = 200
WORDS = "Who ate the yoghurt? It was in the fridge this morning, behind the milk."
TELL = """
INSERT INTO outbox (kind, household_id, subject_id, data, created_at)
SELECT 'chat.message', chat.household_id, message.id, json_build_object('chat_id', chat.id), now()
FROM message JOIN chat ON chat.id = message.chat_id WHERE message.id = $1
"""


async def measure(stage: Stage, database: Database, *, messages: int = MESSAGES) -> str:
    """The section of docs/performance-live.md. `database` is a furnished PostgreSQL."""
    household = database.world["household"]
    members = stage.run("-m", "bench.members", household, str(MEMBERS), env=app_environment(database))
    world = json.loads(members)
    path = f"/api/v1/households/{household}/chats/{world['chat']}/messages"
    act = Act(path, {"content": WORDS}, world["accesses"], TELL)
    larder, bare = start_app(stage, database), start_bare(stage)
    found = await compare(database, larder, bare, act, MEMBERS, messages=messages)
    return f"""
## Talk

How long until {MEMBERS} members of a household, each with a socket, have heard a message in a chat of all of them,
{messages} times in turns; measured as the fan-out above, with the same bare loop and the same aim of at most {AT_MOST},
from the commit. "From the request" is all that a message takes: the POST of another member each time, who is signed in,
may talk and is counted, the message, its transaction, and {MEMBERS} sockets.

{figures([found])}
"""


if __name__ == "__main__":
    # `--quick`: whether it works.
    show(partial(measure, messages=3 if "--quick" in sys.argv[1:] else MESSAGES))
