"""What git says when a remote cannot be fetched from, told as an error with a next action."""

from __future__ import annotations

import re

from launch_action.core.errors import SourceError
from launch_action.core.git_address import GitAddress

# What git or ssh says, what that means, what to do. The first that is found is told.
_REFUSALS: tuple[tuple[str, str, str], ...] = (
    (
        r"Host key verification failed|authenticity of host",
        "the host key of {url} is not known",
        "add it to known_hosts after checking it (`ssh-keyscan HOST`), or name a file with "
        "--ssh-known-hosts",
    ),
    (
        r"Permission denied \(|no such identity|invalid format|error in libcrypto",
        "{url} accepts no ssh key that was offered",
        "load the key into ssh-agent, or give it with --ssh-key; is it a deploy key of this "
        "repository?",
    ),
    (
        r"could not read (?:Username|Password)|terminal prompts disabled",
        "{url} asks for a login, and there is none",
        "give a token with --git-token or $GIT_TOKEN, or set up a git credential helper",
    ),
    (
        r"Authentication failed|HTTP Basic: Access denied|returned error: 40[13]|Invalid username",
        "{url} refuses the login",
        "check that the token may read this repository, and has not expired",
    ),
    (
        r"[Rr]epository (?:'[^']*' )?not found|returned error: 404|does not appear to be a git rep"
        r"|Could not read from remote repository.*not found",
        "no repository at {url}",
        "check the address; a private one also answers so without a login (--git-token, --ssh-key)",
    ),
    (
        r"Could not resolve host|Name or service not known|Temporary failure in name resolution"
        r"|Couldn't resolve host",
        "the host of {url} cannot be found",
        "check the address and the network",
    ),
    (
        r"Connection refused|Connection timed out|Failed to connect|Network is unreachable"
        r"|Operation (?:too slow|timed out)|Connection reset|Empty reply|early EOF|hung up",
        "{url} cannot be reached",
        "check the address and the network, and try again",
    ),
    (
        r"SSL certificate problem|server certificate verification failed|certificate",
        "the certificate of {url} is not trusted",
        "name the authority's file in http.sslCAInfo of the git configuration, or $GIT_SSL_CAINFO",
    ),
    (
        r"transport '.*' not allowed",
        "{url} uses a protocol that is not allowed",
        "use https or ssh",
    ),
)


def explain(address: GitAddress, command: str, said: str, *, logged_in: bool) -> SourceError:
    """The error for what git said; `logged_in` tells whether a login was given."""
    for pattern, message, hint in _REFUSALS:
        if re.search(pattern, said):
            return SourceError(message.format(url=address.url), hint=hint, context=said)
    return SourceError(
        f"git {command} failed with {address.url}",
        hint="see what git says above"
        + ("" if logged_in else "; a private repository needs --git-token or --ssh-key"),
        context=said,
    )
