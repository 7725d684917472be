"""Who is let in at the admin address, and as what."""

from __future__ import annotations

import pytest

from telegram_router.ops.access import Access, Known

OPERATOR, VIEWER = "operator-token-1234", "viewer-token-123456"
TOKENS = Access(OPERATOR, VIEWER)
CERTIFICATES = Access(None, None, frozenset({"ops.bank"}), frozenset({"eyes.bank"}))
BOTH = Access(OPERATOR, VIEWER, frozenset({"ops.bank"}), frozenset({"eyes.bank"}))


@pytest.mark.parametrize(
    ("access", "names", "token", "role"),
    [
        (Access(), (), "", "operator"),
        (TOKENS, (), OPERATOR, "operator"),
        (TOKENS, (), VIEWER, "viewer"),
        (TOKENS, (), "", None),
        (TOKENS, (), OPERATOR + VIEWER, None),
        (TOKENS, ("ops.bank",), "", None),
        (Access(OPERATOR), (), VIEWER, None),
        (Access(None, VIEWER), (), "", None),
        (CERTIFICATES, ("other.bank", "ops.bank"), "", "operator"),
        (CERTIFICATES, ("eyes.bank",), "", "viewer"),
        (CERTIFICATES, ("OPS.bank",), "", None),
        (CERTIFICATES, (), "", None),
        (BOTH, ("eyes.bank",), OPERATOR, "viewer"),
        (BOTH, ("other.bank",), OPERATOR, "operator"),
    ],
)
def test_the_role_comes_from_the_certificate_or_else_from_the_token(access: Access, names: tuple[str, ...], token: str, role: str | None):
    known = access.known("10.0.0.7:5555", names, f"Bearer {token}" if token else "")
    assert (known and known.role) == role


def test_the_record_names_what_was_shown_and_never_the_token():
    assert BOTH.known("a:1", ("ops.bank",), "") == Known("operator", "certificate ops.bank from a:1")
    assert BOTH.known("a:1", (), f"Bearer {VIEWER}") == Known("viewer", "viewer token from a:1")
    assert Access().known("a:1", (), "") == Known("operator", "a:1")
    assert OPERATOR not in repr(BOTH) and VIEWER not in repr(BOTH)
