"""What kind of device it is, from what its browser calls itself: for people to recognise, never to rely on."""

import re

_BROWSERS = (
    # Most call themselves what they descend from as well, so the last heirs come first.
    (r"\bEdgA?(?:iOS)?/", "Edge"),
    (r"\b(?:OPR|Opera)/", "Opera"),
    (r"\bSamsungBrowser/", "Samsung Internet"),
    (r"\bVivaldi/", "Vivaldi"),
    (r"\b(?:Firefox|FxiOS)/", "Firefox"),
    (r"\b(?:Chrome|CriOS|Chromium)/", "Chrome"),
    (r"\bVersion/\S+.*\bSafari/", "Safari"),
)
_SYSTEMS = (
    (r"\biPhone\b", "iPhone"),
    (r"\biPad\b", "iPad"),
    (r"\bAndroid\b", "Android"),
    (r"\bCrOS\b", "ChromeOS"),
    (r"\bWindows\b", "Windows"),
    (r"\b(?:Macintosh|Mac OS X)\b", "Mac"),
    (r"\bLinux\b", "Linux"),
)


def browser_of(user_agent: str) -> str:
    return _first(_BROWSERS, user_agent)


def system_of(user_agent: str) -> str:
    return _first(_SYSTEMS, user_agent)


def program_of(user_agent: str) -> str:
    """What a client that is no browser is called: `curl`, of `curl/8.5.0`."""
    found = re.match(r"[\w.-]{1,40}", user_agent)
    return found[0] if found and found[0] != "Mozilla" else ""


def _first(patterns: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for pattern, name in patterns if re.search(pattern, user_agent)), "")
