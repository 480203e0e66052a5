"""HMAC-SHA256: what the standard library says, for every length of key and message."""

import hmac

from hypothesis import example, given
from hypothesis import strategies as st

from bridle.ledger.mac import Mac, hmac_sha256


@given(key=st.binary(max_size=200), message=st.binary(max_size=300))
@example(key=b"", message=b"")
@example(key=b"k" * 64, message=b"m")
@example(key=b"k" * 65, message=b"m")
def test_it_is_the_hmac_of_the_standard_library(key: bytes, message: bytes) -> None:
    expected = hmac.digest(key, message, "sha256")
    assert hmac_sha256(key, message) == expected
    assert Mac(key).hex(message) == expected.hex()


def test_one_message_leaves_no_trace_in_the_next() -> None:
    mac = Mac(b"key")
    first = mac.hex(b"one")
    assert mac.hex(b"two") != first
    assert mac.hex(b"one") == first


def test_vectors_of_rfc_4231() -> None:
    assert hmac_sha256(b"\x0b" * 20, b"Hi There").hex() == (
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    )
    long_key = b"Test Using Larger Than Block-Size Key - Hash Key First"
    assert hmac_sha256(b"\xaa" * 131, long_key).hex() == (
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    )
