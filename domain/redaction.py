"""Secrets in text, replaced by fingerprints (spec §23.2).

Every pattern is compiled once and takes time linear in the text: a run of characters is either consumed for
good (possessive quantifiers), or looked at from its first character only, or bounded by a small number.

Nearly all text that is looked at holds no secret. So each pattern has a few marks, one of which is in
whatever it matches, and is tried only where one is: looking for them takes a tenth of the time, and a third
of that to find that there is none at all.
"""

import hashlib
import re

_FINGERPRINT_CHARS = 6
_MARKER = re.compile(r"\[redacted:[0-9a-f]{6}\]")

_NAME_OF_ONE = (  # or its end: OPENAI_API_KEY, clientSecret
    r"(?:(?:api|access|secret|private|auth|account)[_-]?key(?:[_-]?id)?"
    r"|secret|password|passwd|passphrase|pwd|token|credentials?)"
)
_ESCAPED_QUOTE = r"""\\{0,3}["']"""

# Of keys that say by their first letters whose they are. `_live_` and `_test_` follow after two to five.
_FIRST_LETTERS = (
    *("sk-", "_live_", "_test_", "gho_", "ghp_", "ghu_", "ghs_", "ghr_", "hf_", "npm_", "gsk_", "dop_v1_"),
    *("github_pat_", "glpat-", "nvapi-", "pypi-", "xapp-", "xox", "akia", "asia", "aroa", "aida", "aiza"),
    *("ya29.", "sg."),
)

# Marks in lower case, pattern. Each keeps what is matched as `keep` and replaces what is matched as `secret`.
_PATTERNS = tuple(
    (marks, re.compile(pattern))
    for marks, pattern in (
        # a PEM private key; without its end line, all that follows
        (
            ("-----begin ",),
            r"(?P<keep>)(?P<secret>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:[^-]++|-(?!----END ))*+(?:-----END [A-Z0-9 ]{0,60}-----)?)",
        ),
        # user and password of a URL; either can be the token
        (
            ("@",),
            r"""(?P<keep>://)(?P<secret>[^\s/?#@:"'<>]{0,1024}+:[^\s/?#"'<>]{0,1024})(?=@)""",
        ),
        # the header of HTTP, whatever the scheme
        (
            ("authorization",),
            r"""(?i:(?P<keep>\b(?:proxy-)?authorization["']?\s{0,4}[:=]\s{0,4}["']?(?:(?:bearer|basic|token)\s{1,4})?))"""
            r"""(?P<secret>[^\s"',;]++)""",
        ),
        # a credential after its scheme alone; words of prose after it are left
        (
            ("bearer", "basic"),
            r"(?i:(?P<keep>\b(?:bearer|basic)\s{1,4}))"
            r"(?P<secret>(?=[A-Za-z._~+/=-]{0,64}[0-9_~+/=]|[A-Za-z._~+/=-]{20})[A-Za-z0-9._~+/=-]{6,}+)",
        ),
        # a JSON Web Token, signed or encrypted, its last parts perhaps cut off
        (
            ("eyj",),
            r"(?P<keep>)(?P<secret>(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,}+(?:\.[A-Za-z0-9_-]*+){1,4}+)",
        ),
        # keys that say by their first letters whose they are
        (
            _FIRST_LETTERS,
            r"(?P<keep>(?<![A-Za-z0-9]))(?P<secret>"
            r"sk-(?=[A-Za-z_-]{0,64}[0-9])[A-Za-z0-9_-]{16,}+"
            r"|[sprw][kh](?:sec)?_(?:live|test)_[A-Za-z0-9]{8,}+"
            r"|(?:gh[opusr]|hf|npm|gsk|dop_v1)_[A-Za-z0-9]{16,}+"
            r"|github_pat_[A-Za-z0-9_]{16,}+"
            r"|(?:glpat|nvapi|pypi|xapp)-(?=[A-Za-z_-]{0,64}[0-9])[A-Za-z0-9_-]{16,}+"
            r"|xox[abceoprs]-[A-Za-z0-9-]{8,}+"
            r"|(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![A-Za-z0-9])"
            r"|AIza[A-Za-z0-9_-]{30,}+"
            r"|ya29\.[A-Za-z0-9_-]{16,}+"
            r"|SG\.[A-Za-z0-9_-]{16,}+(?:\.[A-Za-z0-9_-]++)?)",
        ),
        # name="value", "name": "value", and either inside of another string
        (
            ('"', "'"),
            rf"(?i:(?P<keep>{_NAME_OF_ONE}(?:{_ESCAPED_QUOTE})?\s{{0,4}}[:=]\s{{0,4}}(?P<quote>{_ESCAPED_QUOTE})))"
            r"(?P<secret>(?:(?!(?P=quote))(?:\\.|[^\r\n\\]))++)",
        ),
        # the same without quotes
        (
            ("=",),
            rf"(?i:(?P<keep>{_NAME_OF_ONE}\s{{0,4}}=\s{{0,4}}))(?P<secret>[^\s=\"',;&<>\\][^\s\"',;&<>\\]*+)",
        ),
        # and after a colon, unless the value is a word or a number: prose has colons too
        (
            (":",),
            rf"(?i:(?P<keep>{_NAME_OF_ONE}\s{{0,4}}:\s{{0,4}}))"
            r"(?P<secret>(?=[^\s\"',;<>\\0-9]{1,64}[0-9]|[0-9]{1,64}[A-Za-z])[^\s\"',;<>\\]{6,}+)",
        ),
        # further names that mean a secret only in the query of a URL
        (
            ("=",),
            r"(?i:(?P<keep>[?&](?:key|sig|signature|auth|code|session|x-amz-(?:signature|credential))=))"
            r"(?P<secret>[^\s&#\"'<>]++)",
        ),
    )
)
_ANY_MARK = re.compile("|".join(re.escape(mark) for marks, _ in _PATTERNS for mark in marks))


def redact(text: str) -> str:
    """`text` with each secret replaced by `[redacted:` and six hex digits of its SHA-256 and `]`.

    Knows bearer tokens, API keys, JSON Web Tokens, PEM private keys, user and password of a URL, tokens in
    its query, and values of names such as `password` (NARR-3001 to 3005). Two mentions of one token have
    one fingerprint. Idempotent; takes time linear in the length of `text` (NARR-3007, NARR-3008).
    """
    lowered = text.lower()
    is_ascii = text.isascii()  # elsewhere letters have more than two forms: the Kelvin sign is a k
    if is_ascii and _ANY_MARK.search(lowered) is None:
        return text
    for marks, pattern in _PATTERNS:
        if not is_ascii or any(mark in lowered for mark in marks):
            text = pattern.sub(_with_fingerprint, text)
    return text


def _with_fingerprint(match: re.Match[str]) -> str:
    secret = match["secret"]
    if _MARKER.fullmatch(secret):
        return match[0]
    digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{match['keep']}[redacted:{digest[:_FINGERPRINT_CHARS]}]"
