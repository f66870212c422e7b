"""Which files look like credentials, by name and by how they begin."""

from __future__ import annotations

import re

# How much of a file's beginning is looked at, in bytes.
HEAD = 4096

_NAMES = re.compile(
    r"""(?:^|/)(?:
        \.env(?:\..+)?                      # .env, .env.production
      | id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?
      | \.netrc | _netrc | \.git-credentials | \.pgpass | \.my\.cnf | \.pypirc | \.htpasswd
      | \.vault-token | \.wandb_api_key
      | .+\.(?:p12|pfx|jks|keystore|kdbx|ppk)
      | application_default_credentials\.json
      | (?:service[-_]account|client_secret)[^/]*\.json
      | \.aws/credentials | \.azure/[^/]*(?:token|profile)[^/]*\.json
      | \.docker/config\.json | \.dockercfg | \.dockerconfigjson
      | \.kube/config | kubeconfig
      | \.config/gh/hosts\.yml | \.cache/huggingface/token | \.kaggle/kaggle\.json
      | \.streamlit/secrets\.toml
    )$""",
    re.VERBOSE | re.IGNORECASE,
)
# Files that are meant to be copied and filled in.
_TEMPLATES = re.compile(r"(?:^|/)\.env\.(?:.+\.)?(?:example|sample|template|dist|defaults?)$", re.I)
_HEADS = (
    re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    re.compile(rb'"type"\s*:\s*"(?:service_account|authorized_user)"'),
    re.compile(rb"(?m)^\s*aws_secret_access_key\s*=\s*\S"),
)


def looks_secret(path: str, head: bytes) -> bool:
    """Whether a file looks like a credential; `head` is its first HEAD bytes.

    >>> looks_secret("deploy/.env", b"")
    True
    >>> looks_secret(".env.example", b"KEY=")
    False
    """
    if _TEMPLATES.search(path):
        return False
    return bool(_NAMES.search(path)) or any(pattern.search(head) for pattern in _HEADS)
