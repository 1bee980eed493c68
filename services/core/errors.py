"""What can go wrong, never which HTTP status it gets: `routes/errors.py` decides that, once."""

from collections.abc import Mapping


class AppError(Exception):
    """An expected failure whose message may be shown to the user."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.code


class BadRequest(AppError):
    code = "bad_request"


class NotSignedIn(AppError):
    code = "not_signed_in"


class SecondFactorRequired(NotSignedIn):
    """Somebody whose first factor was right; `challenge` goes with the second."""

    code = "second_factor_required"

    def __init__(self, message: str, *, challenge: str) -> None:
        super().__init__(message)
        self.challenge = challenge


class NoHousehold(AppError):
    """Someone signed in who belongs to no household (any more)."""

    code = "no_household"


class NotFound(AppError):
    code = "not_found"


class Gone(AppError):
    """Something that was good for a while only."""

    code = "gone"


class PermissionDenied(AppError):
    code = "permission_denied"


class PasswordChangeRequired(PermissionDenied):
    """Somebody signed in who must choose a password of their own before anything else."""

    code = "password_change_required"


class InsufficientScope(PermissionDenied):
    """An API key used for what it was not made for."""

    code = "insufficient_scope"


class ConfirmationNeeded(PermissionDenied):
    """Somebody signed in who must show once more that it is them."""

    code = "confirmation_needed"


class NotVerified(PermissionDenied):
    """Somebody signed in whose e-mail address must be verified before anything else."""

    code = "not_verified"


class NotWhileActing(PermissionDenied):
    """Staff who acts as somebody else, and wants what only that somebody may do."""

    code = "not_while_acting"


class Conflict(AppError):
    code = "conflict"


class InvalidInput(AppError):
    """Carries one message a field."""

    code = "invalid_input"

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(next(iter(fields.values())))
        self.fields = dict(fields)


class TooLarge(AppError):
    code = "too_large"


class UnsupportedType(AppError):
    """A file of a kind that is not taken, or nothing that could hold a file."""

    code = "unsupported_media"


class LimitExceeded(AppError):
    """`retry_after`: in how many seconds it may be tried again."""

    code = "limit_exceeded"

    def __init__(self, message: str, *, code: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class Unavailable(AppError):
    """Something we depend on is down or busy; the caller may retry."""

    code = "unavailable"
