"""The services one can be reached through: the schemes of apprise that we let people use, and the plugin of each.

Not those that run programs, read files, or send mail: that goes through the operator's own server.
"""

PLUGINS = {
    "discord": ("discord", "NotifyDiscord"),
    "gotify": ("gotify", "NotifyGotify"),
    "gotifys": ("gotify", "NotifyGotify"),
    "matrix": ("matrix", "NotifyMatrix"),
    "matrixs": ("matrix", "NotifyMatrix"),
    "ntfy": ("ntfy", "NotifyNtfy"),
    "ntfys": ("ntfy", "NotifyNtfy"),
    "pover": ("pushover", "NotifyPushover"),
    "slack": ("slack", "NotifySlack"),
    "tgram": ("telegram", "NotifyTelegram"),
}
# Others make apprise read files, fetch what they name, or wait as long as they say.
PARAMETERS = frozenset(
    {"auth", "format", "hsreq", "mode", "priority", "silent", "sound", "tags", "thread", "to", "token", "topic", "v"}
)
