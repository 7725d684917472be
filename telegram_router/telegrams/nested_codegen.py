"""Python for one message with groups, tables and views: straight on where all is static, one function for each larger table."""

# Rules this file keeps, as codegen.py does for messages that are one row of fields:
#
# 1. What is not recognised at a glance is left to NestedCodec: the generated code raises nothing of its own but NotAsUsual,
#    which never leaves it, and accepts nothing that NestedCodec would not.
# 2. Counts are held against their bounds before they are used, and the telegram's size against what they make, before any
#    value is handed out.
# 3. Behind a table that shifts, offsets count from a variable: how far what is planned has moved.
# 4. Only names that a spec's author chose and numbers get into the source, names always through repr().

from __future__ import annotations

from typing import TYPE_CHECKING

from telegram_router.telegrams.fields import Alphabet
from telegram_router.telegrams.nested_decoding import Decoding
from telegram_router.telegrams.nested_encoding import Encoding
from telegram_router.telegrams.nested_parts import Parts

if TYPE_CHECKING:
    from telegram_router.telegrams.nested_codec import NestedCodec


class NestedWriter:
    """Writes the source of `decode` and `encode`."""

    def __init__(self, codec: NestedCodec, alphabet: Alphabet, checked: bool) -> None:
        self._parts = Parts(codec, alphabet, checked)
        self.constants, self.codecs, self.put = self._parts.constants, self._parts.codecs, self._parts.put

    def source(self) -> str:
        """All functions. The first pass finds out which codecs fields ask for: every function gets the texts."""
        functions = self._parts.functions
        list(Decoding(self._parts).lines())
        functions.clear()
        decoder = [*Decoding(self._parts).lines()]
        encoder = [*Encoding(self._parts).lines()]
        return "\n".join(line for function in (*functions, decoder, encoder) for line in (*function, ""))
