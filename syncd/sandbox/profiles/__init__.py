"""Every profile by its name. A new profile needs one file, one line here, and tests."""

from __future__ import annotations

from difflib import get_close_matches

from syncd.errors import ConfigurationError, Fault
from syncd.sandbox.options import SandboxOptions
from syncd.sandbox.profiles.aws import AwsIdentityCenter
from syncd.sandbox.profiles.base import Choice, Profile
from syncd.sandbox.profiles.generic import Generic
from syncd.sandbox.profiles.lucid_admin import LucidAdmin
from syncd.sandbox.profiles.lucid_content import LucidContent
from syncd.sandbox.profiles.lucidlink import LucidLink
from syncd.sandbox.profiles.okta import OktaStyle
from syncd.sandbox.resources import Resources

PROFILES: dict[str, type[Profile]] = {
    profile.name: profile for profile in (Generic, LucidLink, LucidAdmin, LucidContent, AwsIdentityCenter, OktaStyle)
}

__all__ = ["PROFILES", "Choice", "Profile", "integrations", "profiles_of"]


def integrations(options: SandboxOptions) -> dict[str, str]:
    """Return the token of each integration by its name, the requested integration first.

    Raises ConfigurationError for an unknown profile and for two integrations with one token.
    """
    profile = _profile(options.profile)
    names = [profile.name, *profile.siblings]
    spare = (f"{options.tokens[0]}-{name}" for name in names) if options.tokens else iter(())
    tokens = dict(zip(names, options.tokens, strict=False))
    for name, token in zip(names, spare, strict=False):
        tokens.setdefault(name, token)
    if len(set(tokens.values())) < len(names) or "" in tokens.values():
        problem = "every integration needs a token of its own"
        raise ConfigurationError("sandbox", [Fault("--token", problem)])
    return tokens


def profiles_of(resources: Resources, options: SandboxOptions) -> dict[str, Profile]:
    """Return the profile objects of a sandbox by name, the requested profile first. Raises ConfigurationError."""
    names = integrations(options)
    given = _settings([PROFILES[name] for name in names], options)
    return {name: PROFILES[name](resources, options, _answers(PROFILES[name], given)) for name in names}


def _profile(name: str) -> type[Profile]:
    if name not in PROFILES:
        close = get_close_matches(name, PROFILES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(PROFILES)}"
        raise ConfigurationError("sandbox", [Fault("--profile", f"there is no profile {name!r}; {hint}")])
    return PROFILES[name]


def _settings(profiles: list[type[Profile]], options: SandboxOptions) -> dict[str, str]:
    """Return the given options. Raises ConfigurationError for an unknown option or value."""
    choices = {name: choice for profile in profiles for name, choice in profile.choices.items()}
    faults = []
    for name, answer in options.settings.items():
        choice = choices.get(name)
        if choice is None:
            known = ", ".join(choices) or "none"
            problem = f"profile {profiles[0].name} has no such option; it has {known}"
            faults.append(Fault(f"--set {name}", problem))
        elif answer not in choice.answers and not choice.free:
            faults.append(Fault(f"--set {name}", f"{answer!r} is none of {', '.join(choice.answers)}"))
    if faults:
        raise ConfigurationError("sandbox", faults)
    return dict(options.settings)


def _answers(profile: type[Profile], given: dict[str, str]) -> dict[str, str]:
    """Return every option of a profile. Given values take precedence over defaults."""
    return {name: given.get(name, choice.answers[0]) for name, choice in profile.choices.items()}
