"""What is written to people about their accounts."""

from collections.abc import Mapping
from dataclasses import dataclass

from models import LinkPurpose
from services.core.i18n import _, mark


@dataclass(frozen=True, slots=True)
class Words:
    """`button` is what the link says; `aside` is for whoever did not ask for this."""

    title: str
    text: str
    button: str = ""
    aside: str = ""


LINKS: Mapping[LinkPurpose, Words] = {
    LinkPurpose.VERIFY_EMAIL: Words(
        mark("Confirm your e-mail address"),
        mark("please confirm that {email} is your e-mail address. The link is good for three days."),
        mark("Confirm it"),
        mark("Somebody gave this address to Larder. If that was not you, do nothing."),
    ),
    LinkPurpose.RESET_PASSWORD: Words(
        mark("Choose a new password"),
        mark("you can choose a new password for Larder. The link is good for one hour, and once."),
        mark("Choose a new password"),
        mark("If you did not ask for this, do nothing: your password stays as it is."),
    ),
    LinkPurpose.CHANGE_EMAIL: Words(
        mark("Confirm your new e-mail address"),
        mark("please confirm that {email} shall be the e-mail address of your account. The link is good for one day."),
        mark("Confirm it"),
        mark("Somebody gave this address to Larder. If that was not you, do nothing."),
    ),
}

_NOT_YOU = mark("If that was not you, choose a new password at once: {url}")

# By the name that says what happened; `{about}` is what it was done to.
NOTICES: Mapping[str, Words] = {
    "password_changed": Words(
        mark("Your password was changed"),
        mark("the password of your account was changed, and other devices were signed out."),
        aside=_NOT_YOU,
    ),
    "email_wanted": Words(
        mark("Your e-mail address is to change"),
        mark("{about} is to become the e-mail address of your account, once that is confirmed from there."),
        aside=_NOT_YOU,
    ),
    "email_changed": Words(
        mark("Your e-mail address was changed"),
        mark("the e-mail address of your account is {about} from now on. This one is not used any more."),
        aside=mark("If that was not you, write to whoever runs this instance."),
    ),
    "account_deleted": Words(
        mark("Your account was deleted"),
        mark(
            "your account is gone, and what was yours alone with it. What you wrote and booked in households with "
            "others stays, without your name."
        ),
        aside=mark("If that was not you, write to whoever runs this instance."),
    ),
    "api_key_made": Words(
        mark("An API key was made"),
        mark("a program can now use your account with the API key {about}."),
        aside=_NOT_YOU,
    ),
    "second_factor_on": Words(
        mark("Signing in now needs a code"),
        mark("an authenticator app was set up for your account: signing in needs its code from now on."),
        aside=_NOT_YOU,
    ),
    "second_factor_off": Words(
        mark("Signing in needs no code any more"),
        mark("the authenticator app of your account was turned off, and its recovery codes are void."),
        aside=_NOT_YOU,
    ),
    "recovery_codes_renewed": Words(
        mark("Your recovery codes were renewed"),
        mark("there are new recovery codes for your account. The old ones are void."),
        aside=_NOT_YOU,
    ),
    "recovery_code_used": Words(
        mark("A recovery code was used"),
        mark("somebody signed in to your account with a recovery code. Each works once."),
        aside=_NOT_YOU,
    ),
    "passkey_added": Words(
        mark("A passkey was added"),
        mark("one can now sign in to your account with the passkey {about}."),
        aside=_NOT_YOU,
    ),
    "passkey_removed": Words(
        mark("A passkey was removed"),
        mark("the passkey {about} does not sign in to your account any more."),
        aside=_NOT_YOU,
    ),
    "passkey_copied": Words(
        mark("A passkey may have been copied"),
        mark(
            "the passkey {about} was shown to us in a state that it had before. Somebody may have a copy of it, so it "
            "let nobody in. Remove it, and add it anew."
        ),
        aside=_NOT_YOU,
    ),
    "acted_for": Words(
        mark("Staff acts in your name"),
        mark(
            "{about}, who helps to run Larder here, acts in your name for up to half an hour. What they do is noted "
            "under both names."
        ),
        aside=mark("If you asked for no help, sign them out in the list of your devices, and ask who runs Larder why."),
    ),
    "identity_linked": Words(
        mark("Another way to sign in"),
        mark("one can now sign in to your account with {about}."),
        aside=_NOT_YOU,
    ),
    "identity_unlinked": Words(
        mark("One way less to sign in"),
        mark("{about} does not sign in to your account any more."),
        aside=_NOT_YOU,
    ),
}


def of_link(purpose: LinkPurpose, *, email: str) -> Words:
    words = LINKS[purpose]
    return Words(_(words.title), _(words.text).format(email=email), _(words.button), _(words.aside))


def of_notice(what: str, *, about: str, reset_url: str) -> Words:
    words = NOTICES[what]
    return Words(_(words.title), _(words.text).format(about=about), aside=_(words.aside).format(url=reset_url))
