"""A thousand odd strings for each tokenizer, with the ids that the Python package `tokenizers` gives."""

import random
import unicodedata
import zlib

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from fixture_common import MODELS, TOKENS, demo_queries, demo_texts, write_json

PAIR_LIMIT = 20

FIXED = [
    "", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\u200b", "\ufeff", "\u00ad", "\x00", "\x7f", "\x85",
    ".", "...", "a", "A", " a", "a ", " a ", "a  b", "a\tb", "a\nb", "a\r\nb", "a\u00a0b", "a\u3000b", "a\u200bb", "a\x00b",
    "ação", "AÇÃO", "ac\u0327a\u0303o", "AC\u0327A\u0303O", "São João", "naïve café", "e\u0301e\u0301", "\u0301", "\u0301\u0327a",
    "ﬁnance ﬂow", "①②③", "½ ¼", "m² km³", "ＦＵＬＬ　ｗｉｄｔｈ", "ｶﾀｶﾅ", "カタカナ ひらがな", "漢字", "中文字符abc", "地震a津波", "한국어", "한글 검색",
    unicodedata.normalize("NFD", "한국어 검색"), "ㅎㅏㄴ", "\u1112\u1161\u11ab", "\u1100\u1100\u1161", "갂갃간", "뷁", "화산은 위험하다",
    "İstanbul", "ıI", "ß ẞ STRASSE", "Ǆ ǅ ǆ", "ΑΒΓ ς σ", "Ёлка й", "שלום", "مرحبا بالعالم", "\u202eabc\u202c", "नमस्ते", "ไทย", "អក្សរ",
    "🙂", "👨‍👩‍👧‍👦", "👍🏽", "🇧🇷🇰🇷", "❤️", "1️⃣", "a🙂b", "🙂🙂", "\U000e0001", "\U0010ffff", "\ufffe", "\ufffd", "\ud7a3", "\ue000",
    "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "[mask]", "a[SEP]b", "a [SEP] b", "[ SEP ]", "[MASK].", " [MASK] ", "[SEP][SEP]",
    "<s>", "</s>", "<pad>", "<unk>", "<mask>", "a<mask>b", "a <mask> b", "  <mask>  ", "<mask><mask>", "</s></s>", "a</s>b",
    "<extra_id_0>", "a <extra_id_9> b", "<extra_id_10>", "<extra_id_0><extra_id_1>", "<0x41>", "▁", "▁▁a", "a▁b", "##a", "## a", "Ġa",
    "1234567890", "3.14159", "1,000,000", "-5", "1e-9", "25%", "R$ 3,50", "₩1,000", "€5", "2026-11-21", "10:05", "v1.2.3", "0x1F",
    "https://example.org/a?b=c&d=%20#e", "user@example.org", "C:\\dir\\file.txt", "/usr/lib", "snake_case", "camelCase", "a-b", "a–b—c",
    "don't", "it's I'm we'll they've he'd", "DON'T", "'s", "''", "``a''", "“a” ‘b’ «c»", "!?", "?!?!", "a!b", "(a)", "{[<>]}", "~`^|\\",
    "\u0e01\u0e33", "Å \u212b A\u030a", "Ω \u2126", "ﷺ", "㎏ ㍿", "ⅳ Ⅳ", "…", "‥", "a…b", "\u2060a", "\u200da", "a\u200d", "\u0345a", "x\u0336y",
    "\u1e9b\u0323", "q\u0307\u0323", "q\u0323\u0307", "\u0344", "\u0f71\u0f72", "\u0f73", "a\u0315\u0300\u05ae\u0300b", "\u01c4\u030c",
]

LONG = [
    "a" * 100, "a" * 101, "ã" * 100, "ã" * 101, "b" * 600, "가" * 300, "🙂" * 60, "\u0301" * 120, " " * 200, "a" + " " * 100 + "b",
    "\n" * 50, "ab" * 250, "." * 150, "[SEP]" * 40, "1" * 200, "한국 " * 60, "volcano" * 50,
]

ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "áàâãéêíóôõúüçñÁÀÂÃÉÊÍÓÔÕÚÇ", "0123456789", " ", " ", "  ", "\t\n\r",
    ".,;:!?'\"-()[]{}<>/\\@#$%&*_+=|~`^", "\u0300\u0301\u0302\u0303\u0308\u0327\u0323", "ᄀᄂᄃᄒ", "ᅡᅥᅵ", "ᆨᆫᆯ", "ㄱㄴㅏㅎ",
    "地震火山津波海", "あいうアイウー", "אבגד", "ابتث\u064b\u0651", "кирилЖЙ", "ελληνΣς", "कखि\u094d", "กขำ", "🙂🌋🐢❤️", "👩\u200d🔬🏽",
    "\u200b\u200c\u200d\u2060\ufeff\u00ad", "\x00\x01\x08\x1b\x7f\x85", "\u00a0\u2003\u3000\u2028", "ﬁﬂ①½²™℃Ⅳ", "ＡＢａｂ１！", "ßİıŁøđ",
]

PIECES = ["[SEP]", "[MASK]", "[CLS]", "</s>", "<s>", "<mask>", "<pad>", "<extra_id_3>", "##", "▁", "Ġ", "http://", "e\u0301", "ã"]


def random_code(numbers: random.Random) -> str:
    """A character of any assigned kind, but no surrogate."""
    while True:
        code = numbers.choice([numbers.randrange(0x3000), numbers.randrange(0x10000), numbers.randrange(0x20000)])
        if unicodedata.category(chr(code)) not in ("Cs", "Cn"):
            return chr(code)


def random_string(numbers: random.Random, words: list[str]) -> str:
    parts = []
    for _ in range(numbers.randint(1, 7)):
        kind = numbers.random()
        if kind < 0.35:
            parts.append(numbers.choice(words))
        elif kind < 0.45:
            parts.append(unicodedata.normalize(numbers.choice(["NFD", "NFKD", "NFKC"]), numbers.choice(words)))
        elif kind < 0.80:
            alphabet = numbers.choice(ALPHABETS)
            parts.append("".join(numbers.choice(alphabet) for _ in range(numbers.randint(1, 3))))
        elif kind < 0.88:
            parts.append(chr(0xAC00 + numbers.randrange(11172)))
        elif kind < 0.95:
            parts.append(random_code(numbers))
        else:
            parts.append(numbers.choice(PIECES))
        if numbers.random() < 0.3:
            parts.append(" ")
    return "".join(parts)


def odd_strings(name: str, count: int = 1000) -> list[str]:
    numbers = random.Random(zlib.crc32(name.encode()))
    words = sorted({word for text in demo_texts() for word in text.split()})
    texts = list(dict.fromkeys(FIXED + LONG))
    known = set(texts)
    while len(texts) < count:
        text = random_string(numbers, words)
        if text not in known:
            known.add(text)
            texts.append(text)
    return texts


def odd_pairs(name: str, texts: list[str]) -> list[list[str]]:
    """Fifty pairs: of equal and of very unequal lengths, around the limit."""
    numbers = random.Random(zlib.crc32(name.encode()) + 1)
    sentences = demo_queries()
    pairs = [["", ""], ["a", ""], ["", "a"]]
    short = [text for text in texts if len(text) < 30]
    for number in range(47):
        first = sentences[numbers.randrange(len(sentences))] if number % 3 else numbers.choice(short)
        second = sentences[numbers.randrange(len(sentences))] if number % 4 else numbers.choice(short)
        pairs.append([first[: numbers.randint(0, 60)], second[: numbers.randint(0, 60)]])
    return pairs


def write_strings(name: str) -> None:
    folder = MODELS / name
    if (folder / "tokenizer.json").exists():
        transformer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:
        transformer = AutoTokenizer.from_pretrained(str(folder))
        tokenizer = Tokenizer.from_str(transformer.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = odd_strings(name)
    pairs = odd_pairs(name, texts)
    # In one batch, as cross-encoders are called: alone, an empty second text would count as no second text.
    paired = transformer(
        [first for first, _ in pairs],
        [second for _, second in pairs],
        truncation="longest_first",
        max_length=PAIR_LIMIT,
        padding=False,
        return_token_type_ids=True,
    )
    TOKENS.mkdir(exist_ok=True)
    write_json(
        TOKENS / f"{name}.json",
        {
            "folder": f"tests/neural/models/{name}",
            "texts": texts,
            "ids": [encoding.ids for encoding in tokenizer.encode_batch(texts)],
            "pairs": pairs,
            "pair_limit": PAIR_LIMIT,
            "pair_ids": paired["input_ids"],
            "pair_types": paired["token_type_ids"],
        },
    )


ALL = ["bert", "bert-masked", "bert-old", "roberta", "xlm-roberta", "t5", "mt5", "deberta", "deberta-v3"]


def write_all_strings() -> None:
    for name in ALL:
        write_strings(name)
