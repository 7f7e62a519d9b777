"""Secrets in text: which are found, what is left of them, and what is no secret."""

import hashlib
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.redaction import redact

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
PEM = """-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,6E2F

MIIEpAIBAAKCAQEA5d7f
hGmCq0fZbq1Qvw==
-----END RSA PRIVATE KEY-----"""


def fingerprint(secret: str) -> str:
    return f"[redacted:{hashlib.sha256(secret.encode()).hexdigest()[:6]}]"


def assert_redacted(before: str, secret: str, after: str = "") -> None:
    assert before + fingerprint(secret) + after == redact(before + secret + after)


@pytest.mark.req("NARR-3001", "M0-W-1902")
@pytest.mark.parametrize(
    ("before", "secret"),
    [
        ("Authorization: Bearer ", "secret"),
        ("authorization=bearer ", "secret"),
        ("Proxy-Authorization: Basic ", "dXNlcjpwYXNz"),
        ('{"Authorization": "Bearer ', "s3cr3t"),
        ("was sent Bearer ", "mF_9.B5f-4.1JqM"),
        ("was sent BEARER  ", "abcdefghijklmnopqrstuvwxyz"),
        ("curl: Basic ", "dXNlcjpwYXNz4="),
    ],
)
def test_a_bearer_token_is_a_fingerprint(before: str, secret: str) -> None:
    assert_redacted(before, secret)


@pytest.mark.req("NARR-3002", "M0-W-1902")
@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-4f8B1cD2eF3aG4hI5jK6",
        "sk-ant-api03-4f8B1cD2eF3aG4hI5jK6",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "whsec_test_4eC39HqLyjWDarjtT1zdp7dc",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRs",
        "glpat-1aB2cD3eF4gH5iJ6kL7m",
        "AKIAIOSFODNN7EXAMPLE",
        "hf_abcdefghijklmnopqrstuvwxyzabcdefgh",
        "xoxb-123456789012-1234567890123-AbCdEf",
        "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
        "ya29.A0ARrdaM-1234567890abcdef",
        "SG.1234567890abcdef1234.abc_DEF-123",
    ],
)
def test_an_api_key_is_known_by_its_first_letters(key: str) -> None:
    assert_redacted("the key ", key, " was refused")


@pytest.mark.req("NARR-3002", "M0-W-1902")
@pytest.mark.parametrize(
    ("before", "secret", "after"),
    [
        ("password=", "hunter2", " tried"),
        ("token=", "x", ", twice"),
        ("clientSecret=", "x", "&y"),
        ("OPENAI_API_KEY=", "whatever", ""),
        ("LLORCH_WORKER_TOKEN=", "[brackets]and/more", ""),
        ("aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "\nnext"),
        ("x-api-key: ", "abc12345", ""),
        ("db-password: ", "tr0ub4dor&3", ""),
        ('"api_key": "', "two words", '", "model": "m"'),
        (r"{\"client_secret\": \"", "value", r"\"}"),
        ("passphrase='", 'with "the other" quotes', "'"),
        ('password="', r"with \" its own", '"'),
        ("--token=", "x=y", ""),
    ],
)
def test_the_value_of_a_secrets_name_is_a_fingerprint(before: str, secret: str, after: str) -> None:
    assert_redacted(before, secret, after)


@pytest.mark.req("NARR-3003", "M0-W-1902")
@pytest.mark.parametrize(
    "token", [JWT, JWT[:70], "eyJhbGciOiJkaXIifQ..iv_x.ciphertext.tag-1", "eyJhbGciOiJub25lIn0.e30."]
)
def test_a_json_web_token_is_a_fingerprint(token: str) -> None:
    assert_redacted("claims of ", token, " expired")


@pytest.mark.req("NARR-3004", "M0-W-1902")
@pytest.mark.parametrize(
    "key",
    [
        PEM,
        PEM.replace("\n", ""),
        PEM.replace("\n", "\\n"),
        PEM.replace("RSA ", ""),
        PEM.replace("RSA ", "OPENSSH "),
        PEM.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
    ],
)
def test_a_private_key_is_a_fingerprint_on_many_lines_and_on_one(key: str) -> None:
    assert_redacted("the key file is\n", key, "\nand more")


@pytest.mark.req("NARR-3004")
def test_a_private_key_whose_end_is_cut_off_takes_the_rest_with_it() -> None:
    assert_redacted("cannot read ", PEM[:90])


def test_a_public_key_is_no_secret() -> None:
    key = PEM.replace("RSA PRIVATE", "PUBLIC")

    assert key == redact(key)


@pytest.mark.req("NARR-3005", "M0-W-1902")
@pytest.mark.parametrize(
    ("before", "secret", "after"),
    [
        ("https://", "user:pass", "@host/path"),
        ("postgres://", "u:p@ss:word", "@db:5432/x"),
        ("https://", "ghx:", "@host"),
        ("redis://", ":pass", "@host"),
        ("https://host/x?access_token=", "foo", "&y=1"),
        ("GET /x?page=1&sig=", "f%2Fo", "#top"),
        ("https://host/?X-Amz-Signature=", "0a1b2c", ""),
    ],
)
def test_passwords_and_tokens_of_a_url_are_fingerprints(before: str, secret: str, after: str) -> None:
    assert_redacted(before, secret, after)


@pytest.mark.parametrize(
    "text",
    [
        "a valid bearer token is required",
        "the bearer of the certificates; basic authentication; Basic Latin",
        "the secret: never give up. Password: required",
        "unexpected token: expected a number; unknown token: 151643",
        "prompt has 4100 tokens; the model takes 4096",
        "max_tokens=50 tokens_in: 12 stop_token_ids=5 token_type=x",
        "if secret == other",
        "3f2b8c1e-7d4a-4b1c-9e2f-0a1b2c3d4e5f",
        hashlib.sha256(b"").hexdigest(),
        "correlation id Cid-1-of-something-with-64-characters",
        "/models/qwen2.5-0.5b-instruct-q4_k_m.gguf",
        "meta-llama/Llama-3.1-8B-Instruct, gpt-oss-20b-mxfp4, openai_gpt-oss",
        "sk-learn-compatible-estimators, task-sk-runner, hf_json_tokenizer_factory",
        "http://127.0.0.1:46653/x?page=1&key",  # no value
        "http://[::1]:8080/a@b:c",
        "ssh://git@github.com/owner/name",
        "eyJ is how such a token begins; AKIA is how such a key begins",
        "monkey=banana, author: someone1",
        "2026-11-21T09:29:56.344170Z",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert text == redact(text)


def test_two_mentions_of_one_token_have_one_fingerprint() -> None:
    marks = re.findall(r"\[redacted:[0-9a-f]{6}\]", redact(f"token={JWT} Bearer {JWT} {JWT} password=other1"))

    assert [True, True, False] == [mark == marks[0] for mark in marks[1:]]


FRAGMENTS = (
    "a 1 _ - . : / @ = & ? # \" ' \\ \n , ; [ ] ( sk- 0123456789abcdefghij eyJ eyJabcdef. Bearer bearer"
    ' Basic token password api_key secret: password= token=" ://u: ://:p@ ?key= &sig= authorization:'
    " -----BEGIN%PRIVATE%KEY----- -----END%PRIVATE%KEY----- ghp_ AKIA hf_ xoxb- [redacted:0a1b2c] [redacted:"
    " é \u200b \ud800"
).split(" ")
TEXT = st.lists(st.sampled_from([f.replace("%", " ") for f in FRAGMENTS] + [" "]), max_size=12).map("".join)


@given(TEXT | st.text())
@example("password=sk-0123456789abcdefghij)")
@example('token="Bearer 0123456789abcdefghij"')
@example("://a:password=x@h")
def test_to_redact_again_changes_nothing(text: str) -> None:
    once = redact(text)

    assert once == redact(once)


FIRST_LETTERS = (
    "sk-a1 sk_live_ rk_test_ pk_live_ whsec_test_ gho_ ghp_ ghu_ ghs_ ghr_ hf_ npm_ gsk_ dop_v1_ github_pat_"
    " glpat-1 nvapi-1 pypi-1 xapp-1 xoxa- xoxs- AKIA ASIA AROA AIDA AIza ya29. SG."
).split(" ")


@given(TEXT | st.text(st.characters(max_codepoint=126)))
@example("PASSWORD=a1b2c3")
@example("Token : a1b2c3")
@example("?SIG=a1b2c3")
def test_a_text_is_searched_for_marks_first_and_that_changes_nothing(text: str) -> None:
    assert "é " + redact(text) == redact("é " + text)  # every pattern is tried on what is not ASCII


@pytest.mark.parametrize("letters", FIRST_LETTERS)
def test_each_kind_of_key_has_its_mark(letters: str) -> None:
    num_chars = 16 if letters in {"AKIA", "ASIA", "AROA", "AIDA"} else 32

    assert_redacted("the key ", letters + "0123456789ABCDEFGHIJKLMNOPQRSTUV"[:num_chars], " was refused")


@given(
    TEXT,
    st.sampled_from(["sk-proj-4f8B1cD2eF3aG4hI5jK6", JWT, PEM, "ghp_16C7e42F292c6912E7710c838347Ae178B4a"]),
    TEXT,
)
def test_a_secret_is_found_wherever_it_stands(before: str, secret: str, after: str) -> None:
    assert secret not in redact(f"{before} {secret} {after}")


@pytest.mark.req("NARR-3007", "NARR-3008")
@pytest.mark.parametrize(
    "hostile",
    [
        *(
            "-",
            "@",
            "a_",
            "sk-",
            "eyJ",
            "eyJaaaaaaaa.",
            "://a:",
            "a://b:c@",
            "Bearer aaaaaaaaaaa ",
            "password",
        ),
        *("password=", 'password="', "token: ", "authorization:", "?key=", "SG.", "token\\\\\\'", "-----"),
        *("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY"),
    ],
)
def test_time_grows_with_the_length_of_a_hostile_text_and_no_faster(hostile: str) -> None:
    for num_chars in (125_000, 1_000_000):  # the first, so that a failure does not take minutes
        short, long = (hostile * (size // len(hostile)) for size in (num_chars // 16, num_chars))
        short_s, long_s = seconds(short), seconds(long)

        # 16 where the time is linear, 256 where it is quadratic
        assert long_s < 64 * max(short_s, 0.001)


def seconds(text: str) -> float:
    started_at_s = time.process_time()
    redact(text)
    return time.process_time() - started_at_s
