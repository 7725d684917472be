"""The code pages that banks' hosts use and Python does not have, as codecs: cp1047, cp933, cp1364, cp930, cp939, jisx0201,
cp949_ksx1001, the part of cp949 that is KS X 1001, and cp932_windows, which Text uses for cp932.

Importing this package makes their names known to Python (`"홍길동".encode("cp933")`) and does nothing else. A page's table is
unpacked when its first character is read or written.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from telegram_router.telegrams.codepages.japanese import CP932, WindowsPage
from telegram_router.telegrams.codepages.korean import KSX1001, OUTSIDE, KsX1001Page
from telegram_router.telegrams.codepages.mixed import SHIFT_IN, SHIFT_OUT, MixedPage
from telegram_router.telegrams.codepages.single import SinglePage

__all__ = ["BLANK_WIDE", "CP932", "KSX1001", "MIXED", "OUTSIDE", "SHIFT_IN", "SHIFT_OUT", "SINGLE", "MixedPage", "SinglePage"]

BLANK_WIDE: Final = "\u3000"  # the blank that is as wide as a double-byte character

SINGLE: Final = {name: SinglePage(name) for name in ("cp1047", "jisx0201")}
_VARIANTS: Final[dict[str, KsX1001Page | WindowsPage]] = {KSX1001: KsX1001Page(), CP932: WindowsPage()}
MIXED: Final = {name: MixedPage(name) for name in ("cp933", "cp1364", "cp930")} | {"cp939": MixedPage("cp939", double_of="cp930")}

# As Python asks: lower case, and an underscore for each other sign.
_SPELLING: Final = re.compile(r"(?:cp|ibm|csibm|ibm_|cp_|ibm_cp|ccsid|ccsid_)(\d{3,4})")


def _page(name: str) -> codecs.CodecInfo | None:
    spelled = _SPELLING.fullmatch(name)
    own = f"cp{spelled[1].lstrip('0')}" if spelled else name.replace("_", "")
    page = SINGLE.get(own) or MIXED.get(own) or _VARIANTS.get(name)
    return None if page is None else page.codec()


codecs.register(_page)
