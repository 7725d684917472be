"""The samples of the specs whose published page gives a header only: composed byte by byte, read and written exactly."""

import pytest
from composed_more import COMPOSED, CONTRACT, SAMPLES, kana, zengin_transfer
from shipped import shipped

CASES = [(family, name) for family, frames in COMPOSED.items() for name in frames]


@pytest.mark.parametrize(("family", "name"), CASES)
class TestEverySample:
    def test_its_file_is_what_the_pieces_compose(self, family, name):
        assert (SAMPLES / family / f"{name}.telegram").read_bytes() == COMPOSED[family][name]

    def test_it_is_read_and_written_back_exactly(self, family, name):
        frame = COMPOSED[family][name]
        telegram = shipped(family).decode(frame)
        assert telegram.message.name == name
        assert shipped(family).encode(telegram) == frame
        assert telegram.residue is None


@pytest.mark.parametrize("family", COMPOSED)
def test_every_message_has_a_sample_and_no_sample_is_left_over(family):
    assert {file.stem for file in (SAMPLES / family).iterdir()} == set(shipped(family).messages)


def test_bancassurance_counts_header_and_body_at_offset_12():
    spec = shipped("bancassurance")
    frame = COMPOSED["bancassurance"]["contracts.response"]
    frames, end = spec.framing.cutter(1)(frame + frame[:50], 0, 9)
    assert (frames, end) == ([frame], 160 + len(CONTRACT))
    assert spec.decode(frame).header["total_length"] == len(frame)


def test_bancassurance_goes_on_until_the_last_part():
    """전체 stands before 현재, and the list is complete when they are equal."""
    rule = shipped("bancassurance").messages["contracts.request"].reply
    frame = COMPOSED["bancassurance"]["contracts.response"]
    assert (rule.kind, frame[rule.current], frame[rule.total]) == ("until", b"01", b"03")


def test_an_insurers_refusal_goes_in_its_own_direction():
    from telegram_router.errors import Delivery

    spec = shipped("bancassurance")
    refusal = spec.decode(spec.error_reply(COMPOSED["bancassurance"]["quote.request"], "E-BCK-05", Delivery.SENT_UNKNOWN))
    assert (refusal.header["flag"], refusal.header["response_code"], refusal.header["message_type"]) == ("5", "990", "0210")


def test_what_a_partner_writes_into_unpublished_fields_comes_back_in_the_answer():
    frame = bytearray(COMPOSED["vas"]["open.request"])
    frame[16:19] = b"A7B"
    spec = shipped("vas")
    answer = spec.encode(spec.decode(bytes(frame)).reply(response_code="000"))
    assert answer[16:19] == b"A7B"
    assert answer[31:35] == b"0810"


def test_error_telegrams_of_virtual_accounts_have_the_direction_of_answers():
    from telegram_router.errors import Delivery

    spec = shipped("vas")
    request, response = (spec.decode(COMPOSED["vas"][f"open.{end}"]) for end in ("request", "response"))
    refused = spec.decode(spec.error_reply(COMPOSED["vas"]["open.request"], "E-BCK-05", Delivery.SENT_UNKNOWN))
    assert refused["response_code"] == "990" and refused["flag"] == response["flag"] != request["flag"]


def test_a_later_byte_decides_how_zengins_customer_codes_are_seen():
    spec = shipped("zengin")
    codes = spec.decode(COMPOSED["zengin"]["transfer"]).body
    assert codes["customer_codes"] == {"first": "0000000001", "second": "0000000002"} and "edi" not in codes
    frame = zengin_transfer(kana("ｾｲｷﾕｳｼﾖ 2024-03", 20), b"Y")
    telegram = spec.decode(frame)
    assert telegram.body["edi"] == "ｾｲｷﾕｳｼﾖ 2024-03" and "customer_codes" not in telegram.body
    assert spec.encode(telegram) == frame


def test_a_voicing_mark_is_a_character_of_its_own():
    assert shipped("zengin").decode(COMPOSED["zengin"]["transfer"]).body["payee"] == "ｶ)ﾃｽﾄｼﾖｳｼﾞ"


def test_iso_8583_has_a_binary_length_of_two_bytes_in_front_that_counts_what_follows():
    frame = COMPOSED["iso8583"]["network.request"]
    assert frame[:2] == bytes([0, 48])
    assert shipped("iso8583").framing.cutter(1)(frame * 3, 0, 9) == ([frame] * 3, 150)


CARDS = """
[listeners.cards]
address = "127.0.0.1:0"
spec = "iso8583"
[services.host]
backends = ["127.0.0.1:9"]
{keys}
[[routes]]
listener = "cards"
default = true
service = "host"
"""


def test_a_family_without_correlation_is_refused_where_a_key_would_have_to_pair_its_replies(tmp_path):
    from telegram_router.errors import ConfigError
    from telegram_router.plan import read_plan

    file = tmp_path / "router.toml"
    file.write_text(CARDS.format(keys=""))
    with pytest.raises(ConfigError) as caught:
        read_plan(file)
    assert [(each.code, each.key) for each in caught.value.problems] == [("E-CFG-07", "services.host.mode")]
    assert "no correlation" in caught.value.problems[0].what


@pytest.mark.parametrize("mode", ["fifo", "exclusive"])
def test_a_family_without_correlation_is_routed_where_replies_are_paired_otherwise(tmp_path, mode):
    from telegram_router.plan import read_plan

    file = tmp_path / "router.toml"
    file.write_text(CARDS.format(keys=f'mode = "{mode}"'))
    assert read_plan(file).config.services["host"].mode == mode
