"""Markdown, HTML and Mermaid: what stands in the layout stands in the document, nothing steers its reader, nothing is fetched."""

import re
from html.parser import HTMLParser

import pytest
from construct import Struct
from parcel_family import FAMILY
from shipped import ROOT, shipped
from structured_family import kinds, record_frame, structured, structured_frames

from telegram_router.telegrams import Code, Digits, Family, Framing, LengthField, Message, Reply, Text, compile_family
from telegram_router.telegrams.exporters.bytemap import byte_map, characters, hex_lines, marked_bytes, marks, ruler
from telegram_router.telegrams.exporters.markdown import anchor, message_document, spec_document
from telegram_router.telegrams.exporters.mermaid import document, packet_diagram, sequence_diagram
from telegram_router.telegrams.exporters.page import message_page, spec_page
from telegram_router.telegrams.exporters.walk import lines

PARCEL = compile_family(FAMILY)
SPECS = {name: shipped(name) for name in ("firmbanking", "hmfb", "ksnet")} | {
    "parcel": PARCEL,
    "structured": structured(),
    "kinds": kinds("cp933"),
}


def samples_of(name):
    folder = ROOT / "specs" / "samples" / name
    return {file.name.removesuffix(".telegram"): file.read_bytes() for file in folder.glob("*.telegram")} if folder.is_dir() else {}


NASTY = 'a|b <script>alert("x")</script> `code` [link](http://x) *bold* _low_ \\ #1; & "q"'


def nasty():
    """A family whose every word would break a careless document."""
    header = Struct("type" / Code(2, {"01": NASTY}, log="clear") * NASTY, "number" / Digits(4, log="clear") * NASTY)
    message = Message("note", NASTY, ("01",), Struct("memo" / Text(20) * NASTY), kind="oneway", reply=Reply.none())
    return compile_family(Family("nasty", header, [message], Framing(LengthField()), ("type",), ("number",), title=NASTY, encoding="cp949"))


def rows(text):
    """The cells of every row of a Markdown table."""
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]


class TestMarkdown:
    @pytest.mark.parametrize("name", SPECS)
    def test_every_field_stands_in_it_with_its_place(self, name):
        spec = SPECS[name]
        for message in spec.messages.values():
            text = message_document(message, samples_of(name))
            found = {(cells[0].strip(), cells[4].strip().replace("&emsp;", "").strip("`")) for cells in rows(text) if len(cells) == 10}
            for line in lines(message):
                assert (line.start, line.name) in found
                assert not line.label or line.label.split()[0] in text

    @pytest.mark.parametrize("name", SPECS)
    def test_tables_are_even_and_links_lead_somewhere(self, name):
        text = spec_document(SPECS[name], samples_of(name))
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert len({len(cells) for cells in rows(table)}) == 1
        anchors = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
        assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors

    def test_the_sample_is_the_specs_own_or_else_made_up(self):
        message = shipped("firmbanking").messages["transfer.request"]
        own = message_document(message, samples_of("firmbanking"))
        assert "The spec's own sample. On the wire it has 4 bytes of framing more." in own
        assert "| 199 | 14 | `body.memo` | 적요 text in the passbook | `홍길동급여` |" in own
        made_up = message_document(message, {"transfer.request": b"0003bad"})
        assert "Made up from the spec" in made_up
        assert made_up == message_document(message, {})  # always the same

    def test_family_facts_and_flow_are_told(self):
        text = spec_document(shipped("firmbanking"), {})
        assert "| framing | 4 ASCII digits at offset 0 counting what follows it |" in text
        assert "| poll | HDRREQPOLL and 10 bytes that the answer repeats is answered by HDRRESPOLL |" in text
        assert "| reply paired by | company\\_number, bank\\_code, sent\\_date, message\\_number |" in text
        assert "B-->>A: transfer.response" in text

    def test_a_family_of_one_record_has_no_key_and_no_header_to_tell(self):
        text = spec_document(shipped("customer"), samples_of("customer"))
        assert "| length | 248 bytes |" in text
        assert "| header |" not in text and "chosen by" not in text and "Header 공통부" not in text
        assert "| encoding | cp933 |" in text

    def test_words_cannot_break_it(self):
        text = spec_document(nasty(), {})
        assert "<script>" not in text.replace("`", "")
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert len({len(cells) for cells in rows(table)}) == 1

    def test_tables_and_views_are_told_in_words(self):
        text = message_document(structured().messages["order"], {})
        assert "0 to 4 x 18 bytes, as many as item\\_count says, always with room for all" in text
        assert "by kind: 1 person, 2 company, else code" in text
        assert "from 20250301" in text
        assert "| ≤168 | ≤169-172 | 4 | `X(4)` | `tail` |" in text


class TestBytes:
    def test_the_map_says_which_field_each_byte_belongs_to(self):
        message = shipped("hmfb").messages["transfer.request"]
        marked = marks(list(lines(message)))
        text = marked_bytes(message, bytes(320), marked)
        assert len(text) == 320
        assert text.startswith("AAAABBBBBBCC........DDDDDDDDD")
        shown = list(byte_map(text))
        assert [line[8:] for line in shown[2:]] == [text[at : at + 32] for at in range(0, 320, 32)]
        assert shown[2].startswith("     0  ") and shown[-1].startswith("   288  ")

    def test_two_byte_characters_stand_in_two_columns(self):
        assert characters("홍A".encode("cp949"), "cp949") == ["홍", "", "A"]
        assert characters(b"\x0e\xd1\xb7\x8b\xa9\x0f\xc1\xff", "cp933") == ["·", "홍", "", "길", "", "·", "A", "·"]
        assert characters(b"A\x80\x00", "cp949") == ["A", "·", "·"]
        assert characters("홍".encode("cp949")[:1], "cp949") == ["·"]

    def test_ruler_and_hex_show_all_bytes_under_their_offsets(self):
        shown = [chr(65 + at % 26) for at in range(70)]
        drawn = list(ruler("." * 70, shown))
        assert drawn[0].split() == ["0", "10", "20", "30", "40", "50"]
        assert drawn[2] == "     0  " + "".join(shown[:60])
        assert drawn[4] == "    60  " + "".join(shown[60:])
        assert list(hex_lines(b"AB", ["A", "B"]))[1] == "     0  41 42                                            AB"


class Page(HTMLParser):
    """What a browser would see: texts, tags that are open, attributes."""

    VOID = ("meta", "input", "wbr")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.words, self.ids = [], [], [], [], set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids |= {value for name, value in attrs if name == "id"}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


class TestHtml:
    @pytest.mark.parametrize("name", SPECS)
    def test_every_field_stands_in_it_and_every_tag_is_closed(self, name):
        spec = SPECS[name]
        page = Page(spec_page(spec, samples_of(name)))
        assert not page.open
        words = "".join(page.words)
        for message in spec.messages.values():
            for line in lines(message):
                assert line.name in words and line.label in words
        links = {value[1:] for tag, attribute, value in page.attributes if (tag, attribute) == ("a", "href")}
        assert links <= page.ids

    def test_nothing_is_fetched_from_elsewhere(self):
        text = spec_page(shipped("firmbanking"), {})
        page = Page(text)
        assert {value for _, name, value in page.attributes if name in ("src", "href") and not value.startswith("#")} == set()
        assert not re.search(r"url\(|@import|https?://", text)
        assert "default-src 'none'" in text
        assert "link" not in page.tags and "img" not in page.tags

    def test_words_cannot_break_it(self):
        page = Page(spec_page(nasty(), {}))
        assert page.tags.count("script") == 1
        assert not page.open
        assert NASTY in page.words

    def test_every_byte_of_the_sample_has_a_cell(self):
        page = message_page(shipped("firmbanking").messages["transfer.request"], samples_of("firmbanking"))
        content = page[page.index('<div class="map">') : page.index("Sample, field by field")]
        assert content.count("<b>") + 2 * content.count('<b class="w">') == 300
        assert '<b class="w">홍</b><b class="w">길</b>' in content

    def test_views_and_tables_of_a_sample_are_those_of_its_bytes(self):
        page = message_page(structured().messages["order"], {"order": structured_frames()[1]})
        page = page.replace("<wbr>", "")
        assert "body.company.brn" in page and "body.items[3].amount" in page
        assert "body.person.rrn" not in page[page.index("field by field") :]

    def test_ebcdic_samples_are_shown_in_characters(self):
        page = message_page(kinds("cp037").messages["record"], {"record": record_frame("cp037")})
        assert "<b>H</b><b>O</b><b>N</b><b>G</b>" in page


# The grammar of Mermaid's packet diagrams: a range or one byte, a colon, a text in quotes; each where the last one ended.
BLOCK = re.compile(r'^(\d+)(?:-(\d+))?: "([^"\\\n]+)"$')


class TestMermaid:
    @pytest.mark.parametrize("name", SPECS)
    def test_the_blocks_of_a_packet_are_contiguous(self, name):
        for message in SPECS[name].messages.values():
            front, title, behind, kind, *blocks = packet_diagram(message).splitlines()
            assert (front, behind, kind) == ("---", "---", "packet-beta")
            assert re.fullmatch(r'title: "[^"\\\n]*"', title)
            at = 0
            for block in blocks:
                found = BLOCK.match(block)
                assert found, block
                start, end = int(found[1]), int(found[2] or found[1])
                assert start == at and (found[2] is None or end > start)
                at = end + 1
            least, most = message.codec.sizes()
            assert at == (most if most is not None and not message.codec.opaque else at)
            assert at >= least

    @pytest.mark.parametrize("name", SPECS)
    def test_the_sequence_has_every_message(self, name):
        text = sequence_diagram(SPECS[name])
        grammar = re.compile(
            r"sequenceDiagram|    participant [AB] as \w+|    +(A->>B|B-->>A): [^;\n]+|    Note over A,B: not answered|    loop .+|    end"
        )
        assert all(
            grammar.fullmatch(line.replace("#35;", "").replace("#59;", "").replace("#lt;", "").replace("#gt;", ""))
            for line in text.splitlines()
        ), text
        for message in SPECS[name].messages.values():
            assert message.name in text

    def test_words_cannot_break_it(self):
        spec = nasty()
        assert all(BLOCK.match(block) for block in packet_diagram(spec.messages["note"]).splitlines()[4:])
        assert ";" not in sequence_diagram(spec).replace("#35;", "").replace("#59;", "").replace("#lt;", "").replace("#gt;", "")

    def test_a_whole_spec_is_a_page_of_diagrams(self):
        text = document(shipped("hmfb"))
        assert text.count("```mermaid\n") == 1 + len(shipped("hmfb").messages)
        assert text.count("```") == 2 * text.count("```mermaid\n")

    def test_the_page_shows_words_that_are_markup_as_they_are(self):
        text = document(nasty())
        outside = re.sub(r"```mermaid\n.*?\n```", "", text, flags=re.DOTALL)
        assert "\\<script\\>" in outside and "<script>" not in outside
