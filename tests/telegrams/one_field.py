"""A message of one field, so that a kind can be tested as traffic meets it: generated, interpreted, and by its kept bytes."""

from construct import ConstructError, Struct

from telegram_router.errors import FieldError
from telegram_router.telegrams import Code, Family, FieldFault, FixedSize, Framing, Message, Reply, compile_family
from telegram_router.telegrams.fields import charset_of


class OneField:
    """A key of one byte and the field."""

    def __init__(self, kind, encoding="ascii"):
        self.message = compile_family(
            Family(
                name="one",
                title="one field",
                version="1",
                encoding=encoding,
                framing=Framing(FixedSize(kind.length + 1)),
                header=Struct("key" / Code(1)),
                key=("key",),
                correlation=("key",),
                messages=[Message("m", "message", ("1",), Struct("field" / kind), reply=Reply.none())],
            )
        ).messages["m"]
        self.kind = self.message.field("body.field").kind
        self.key = charset_of(encoding).wire(b"1")

    def reads(self, raw):
        """The field's value, or the code of its fault. Whoever reads, it is the same; and it can be written back byte for byte."""
        read = self._by(lambda: self.kind.read(raw))
        assert self._by(lambda: self.message.construct.parse(self.key + raw)["body"]["field"]) == read
        try:
            telegram = self.message.decode(self.key + raw)
        except FieldError as error:
            assert [problem.code for problem in error.problems] == [read]
            return read
        value = telegram.body["field"]
        assert value == read and type(value) is type(read)
        assert self.message.encode(telegram.header, telegram.body, telegram.residue) == self.key + raw
        kept = {1: raw} if self._by(lambda: self.kind.write(value)) != raw else None
        assert telegram.residue == kept
        return value

    def writes(self, value):
        """The field's bytes, or the code of its fault. Whoever writes, they are the same."""
        written = self._by(lambda: self.kind.write(value))
        built = self._by(lambda: self.message.construct.build({"header": {}, "body": {"field": value}}))
        assert built == (self.key + written if isinstance(written, bytes) else written)
        try:
            assert self.message.encode({}, {"field": value}) == self.key + written
        except FieldError as error:
            assert [problem.code for problem in error.problems] == [written]
        return written

    @staticmethod
    def _by(way):
        try:
            return way()
        except FieldFault as fault:
            return fault.code
        except ConstructError as error:
            raise AssertionError(error) from None
