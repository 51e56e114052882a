"""What the body of a refused call says, whatever its form."""

from __future__ import annotations

import pytest

from helpdesk_assets.providers.client.error_text import EXCERPT_CHARS, excerpt

TOKEN = "s3cret-token"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        # Zendesk's forms.
        ('{"error": "RecordNotFound", "description": "Not found"}', "RecordNotFound: Not found"),
        ('{"error": {"title": "Forbidden", "message": "Not you."}}', "Forbidden: Not you"),
        ('{"errors": [{"code": "InvalidValue", "detail": "bad"}]}', "InvalidValue: bad"),
        (
            '{"error": "RecordInvalid", "details": {"base": [{"description": "bad"}]}}',
            "RecordInvalid: bad",
        ),
        # Freshdesk's.
        ('{"code": "account_suspended", "message": "Suspended"}', "account_suspended: Suspended"),
        (
            '{"description": "Validation failed", "errors": [{"field": "page", "code": "bad"}]}',
            "Validation failed: page: bad",
        ),
        # Zoho Desk's, and RT's.
        ('{"errorCode": "FORBIDDEN", "message": "No right."}', "FORBIDDEN: No right"),
        ('{"message": "Unauthorized"}', "Unauthorized"),
        # Of whatever is before the helpdesk.
        ("<!DOCTYPE html><title>Blocked</title><p>code 1020</p>", "Blocked code 1020"),
        ("<html><script>let a = 1</script><h1>No &amp; never</h1>", "No & never"),
        ("  <html></html>", "<html></html>"),
        ("plain words", "plain words"),
        ("a\r\n\x1b[31m\tb", "a [31m b"),
        ('{"code": 7}', '{"code": 7}'),
        ('"quoted"', '"quoted"'),
        ("{broken", "{broken"),
        ("", ""),
    ],
)
def test_words_are_found_in_every_form(body: str, words: str) -> None:
    assert excerpt(body.encode(), ("",)) == words


@pytest.mark.parametrize(
    "body",
    [
        "x" * (EXCERPT_CHARS - 10) + TOKEN + "y" * 9000,
        '{"message": "s3cret\\u002dtoken"}',
        "<html>s3cret&#45;token</html>",
        "<html>" + TOKEN + "</html>",
        '["' + TOKEN + '"]',
    ],
)
def test_secrets_are_masked_however_they_are_written(body: str) -> None:
    words = excerpt(body.encode(), (TOKEN,))
    assert "s3cret" not in words
    assert len(words) <= EXCERPT_CHARS


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"<a" * 100_000, b"<html>" + b"<p>x" * 100_000, b"\xff\xfe"]
)
def test_hostile_bodies_are_short_and_no_error(body: bytes) -> None:
    assert 0 < len(excerpt(body, ())) <= EXCERPT_CHARS
