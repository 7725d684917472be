"""The sample telegrams: each is what the offset tables say, byte for byte, and each is read and written exactly."""

import pytest
from composed import FIRST_SAMPLE, SAMPLES, samples
from offset_tables import TABLES
from second_decoder import decode
from shipped import message_of, shipped

CASES = [(family, key) for family, keys in TABLES.items() for key in keys]


@pytest.mark.parametrize(("family", "key"), CASES, ids=lambda value: value if isinstance(value, str) else "-".join(value))
class TestEverySample:
    def test_its_file_is_what_the_tables_compose(self, family, key):
        file = SAMPLES / family / f"{message_of(family, key).name}.telegram"
        assert file.read_bytes() == samples()[family][key]

    def test_it_is_read_and_written_back_exactly(self, family, key):
        frame = samples()[family][key]
        telegram = shipped(family).decode(frame)
        assert telegram.message is message_of(family, key)
        assert shipped(family).encode(telegram) == frame
        assert telegram.residue is None

    def test_the_second_decoder_reads_the_same_values(self, family, key):
        frame = samples()[family][key]
        telegram = shipped(family).decode(frame)
        assert telegram.header | telegram.body == decode(family, key, telegram.raw)

    def test_the_layout_has_the_offsets_of_the_published_table(self, family, key):
        planned = [(f.name or "-", f.offset, f.length) for f in message_of(family, key).fields]
        assert planned == [row[:3] for row in TABLES[family][key]]


def test_every_message_of_a_shipped_spec_has_a_sample_and_no_sample_is_left_over():
    for family in TABLES:
        files = {file.stem for file in (SAMPLES / family).iterdir()}
        assert files == set(shipped(family).messages)


def test_the_published_transfer_is_among_the_samples_byte_for_byte():
    assert len(FIRST_SAMPLE) == 304
    assert (SAMPLES / "firmbanking" / "transfer.request.telegram").read_bytes() == FIRST_SAMPLE


def test_the_samples_hold_korean_text():
    telegram = shipped("firmbanking").decode(FIRST_SAMPLE)
    assert telegram["memo"] == "홍길동급여"
    assert shipped("hmfb").decode(samples()["hmfb"]["2000", "100"])["deposit_holder"] == "강동호"


def test_what_is_synthetic_says_so():
    assert {name for name, m in shipped("firmbanking").messages.items() if m.synthetic} == {"credit.request", "credit.response"}
    assert {name for name, m in shipped("hmfb").messages.items() if m.synthetic} == {"transfer.request", "transfer.response"}
