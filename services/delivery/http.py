"""What channels have in common that are an address one posts to."""

from datetime import timedelta
from email.utils import parsedate_to_datetime

import httpx

from services.core import clock, outbound
from services.core.i18n import _
from services.delivery.sender import Refused, Undelivered

MAX_WAIT = timedelta(days=1)


class HttpSender:
    def __init__(self) -> None:
        self._client = outbound.client()

    async def post(self, url: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
        """The answer, of which only the head was read. Raises `Undelivered` when there is none."""
        try:
            async with self._client.stream("POST", url, content=content, headers=headers) as response:
                return response
        except outbound.NotPublic as error:
            raise Refused(_("This address is on a private network.")) from error
        except httpx.TimeoutException as error:
            raise Undelivered(_("It did not answer in time.")) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Undelivered(_("It cannot be reached.")) from error

    async def close(self) -> None:
        await self._client.aclose()


def answered(response: httpx.Response) -> Undelivered:
    """What an answer means that is not a success."""
    reason = _("It answered {status}.").format(status=response.status_code)
    if response.is_redirect:
        return Refused(_("It sends us elsewhere, where we do not follow."))
    return Undelivered(reason, retry_after=_retry_after(response.headers.get("retry-after", "")))


def _retry_after(value: str) -> timedelta | None:
    """Seconds or a date (RFC 9110)."""
    if value.isdecimal() and len(value) < 10:
        return min(timedelta(seconds=int(value)), MAX_WAIT)
    try:
        wait = parsedate_to_datetime(value) - clock.now()
    except (ValueError, TypeError):
        return None
    return min(max(wait, timedelta()), MAX_WAIT)
