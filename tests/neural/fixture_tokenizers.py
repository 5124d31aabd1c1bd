"""Small tokenizers of each kind, trained on the demo collection, put together as those of published models are."""

import collections
import json
import tempfile
import unicodedata
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from fixture_common import demo_queries, demo_texts, write_json

BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def special(token: str, lstrip: bool = False) -> AddedToken:
    return AddedToken(token, special=True, normalized=False, lstrip=lstrip)


def word_pieces(words: collections.Counter, size: int) -> dict[str, int]:
    """Characters, then the most frequent words, beginnings and ends. The library's own trainer breaks ties by hash order,
    so that no two runs give the same vocabulary; a tokenizer for tests needs no better pieces than these."""
    pieces: collections.Counter = collections.Counter()
    characters: collections.Counter = collections.Counter()
    for word, count in words.items():
        for position, character in enumerate(word):
            characters[character if position == 0 else "##" + character] += count
        for length in range(2, len(word) + 1):
            pieces[word[:length]] += count * length
            if length < len(word):
                pieces["##" + word[-length:]] += count * length
    vocabulary = list(BERT_SPECIALS)
    for counted, room in ((characters, size * 5 // 8), (pieces, size)):
        best = sorted(counted, key=lambda piece: (-counted[piece], piece))
        vocabulary += best[: max(0, room - len(vocabulary))]
    return {piece: number for number, piece in enumerate(vocabulary)}


def bert(size: int, lowercase: bool, chinese: bool = True) -> Tokenizer:
    """WordPiece as BERT has it; `lowercase` also takes accents off."""
    normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=chinese, strip_accents=None, lowercase=lowercase
    )
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words: collections.Counter = collections.Counter()
    for text in demo_texts() + demo_queries():
        words.update(word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)))
    vocabulary = word_pieces(words, size)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([special(token) for token in BERT_SPECIALS])
    tokenizer.post_processor = bert_template(vocabulary["[CLS]"], vocabulary["[SEP]"])
    return tokenizer


def bert_template(first: int, last: int) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", first), ("[SEP]", last)],
    )


def roberta(size: int) -> Tokenizer:
    """Byte-level byte-pair encoding, with the special tokens where RoBERTa has them."""
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size - 1,
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    trained.train_from_iterator(demo_texts(), trainer)
    model = json.loads(trained.to_str())["model"]
    vocabulary = dict(model["vocab"])
    vocabulary["<mask>"] = len(vocabulary)
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([special(token) for token in specials] + [special("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    return tokenizer


def small_rules() -> str:
    """Rules of a small normalizer in sentencepiece's own form: compatibility forms of a few ranges, and composition of Latin letters."""
    rules = {}
    ranges = [(0xA0, 0x180), (0x2000, 0x2070), (0x2100, 0x2190), (0x3000, 0x3001), (0xFB00, 0xFB07), (0xFF01, 0xFF5F)]
    for first, last in ranges:
        for code in range(first, last):
            normal = unicodedata.normalize("NFKC", chr(code))
            if normal != chr(code):
                rules[chr(code)] = " " if normal.isspace() else normal
    for code in range(0xC0, 0x180):
        apart = unicodedata.normalize("NFD", chr(code))
        if len(apart) > 1:
            rules[apart] = chr(code)
    for code in (0x09, 0x0A, 0x0D, 0x2028, 0x2029):
        rules[chr(code)] = " "
    for code in (0x200B, 0x200E, 0xFEFF, 0x00):
        if code:
            rules[chr(code)] = ""
    hexadecimal = lambda text: " ".join(f"{ord(character):X}" for character in text)
    return "".join(f"{hexadecimal(source)}\t{hexadecimal(rules[source])}\n" for source in sorted(rules))


def sentence_pieces(size: int, full: bool, specials: dict):
    """A sentencepiece model: unigram, with its own normalizer (`full`: the one that XLM-R, T5 and mT5 carry, and all of
    the collection) or a small one (and little Korean, so that there are syllables it does not know).
    Returns pieces with scores, and the normalizer's table."""
    texts = demo_texts() + demo_queries() if full else demo_texts()[:84]
    with tempfile.TemporaryDirectory() as folder:
        options = {"normalization_rule_name": "nmt_nfkc"}
        if not full:
            rules = Path(folder) / "rules.tsv"
            rules.write_text(small_rules(), encoding="utf-8")
            options = {"normalization_rule_tsv": str(rules)}
        prefix = Path(folder) / "model"
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_prefix=str(prefix),
            model_type="unigram",
            vocab_size=size,
            character_coverage=0.98,
            num_threads=1,
            minloglevel=2,
            **specials,
            **options,
        )
        model = sentencepiece_model_pb2.ModelProto()
        model.ParseFromString(prefix.with_suffix(".model").read_bytes())
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    return pieces, model.normalizer_spec.precompiled_charsmap


def split_on_white_space() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace()])


def metaspace() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")


def xlm_roberta(size: int, full: bool) -> Tokenizer:
    """Unigram with the ids of XLM-R: four special tokens first, `<mask>` last."""
    specials = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}
    pieces, table = sentence_pieces(size - 2, full, specials)
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + pieces[3:] + [("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Precompiled(table)
    tokenizer.pre_tokenizer = split_on_white_space()
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens(
        [special(token) for token in ("<s>", "<pad>", "</s>", "<unk>")] + [special("<mask>", lstrip=True)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def t5(size: int, multilingual: bool, words: tuple[str, ...] = ()) -> Tokenizer:
    """Unigram with the ids of T5: `<pad>`, `</s>`, `<unk>`, pieces, and sentinels in falling order. The multilingual one has the
    normalizer and splitting that newer conversions have. `words` are pieces of the vocabulary too."""
    sentinels = [f"<extra_id_{number}>" for number in range(9, -1, -1)]
    specials = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    pieces, table = sentence_pieces(size - len(sentinels) - len(words), False, specials)
    known = {piece for piece, _ in pieces}
    pieces += [(word, -9.0) for word in words if word not in known]
    vocabulary = pieces + [(sentinel, 0.0) for sentinel in sentinels]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=False))
    if multilingual:
        tokenizer.normalizer = normalizers.Sequence(
            [
                normalizers.Precompiled(table),
                normalizers.Strip(left=False, right=True),
                normalizers.Replace(Regex(" {2,}"), "▁"),
            ]
        )
        tokenizer.pre_tokenizer = metaspace()
    else:
        tokenizer.normalizer = normalizers.Precompiled(table)
        tokenizer.pre_tokenizer = split_on_white_space()
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens([special(token) for token in ["<pad>", "</s>", "<unk>", *sentinels]])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer


def deberta(size: int, newer: bool) -> Tokenizer:
    """Unigram with the ids of DeBERTa-v2. `newer`: the normalizer that `transformers` 5 gives, and punctuation split off."""
    specials = {
        "pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3,
        "pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]",
    }
    pieces, table = sentence_pieces(size - 1, False, specials)
    tokenizer = Tokenizer(models.Unigram(pieces + [("[MASK]", 0.0)], unk_id=3, byte_fallback=False))
    if newer:
        tokenizer.normalizer = normalizers.Sequence(
            [
                normalizers.Lowercase(),
                normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "),
                normalizers.NFC(),
                normalizers.Strip(left=False, right=True),
            ]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Punctuation(behavior="isolated"), metaspace()])
    else:
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Strip(), normalizers.Precompiled(table), normalizers.Replace(Regex(" {2,}"), " ")]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([metaspace()])
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens([special(token) for token in ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")])
    tokenizer.post_processor = bert_template(1, 2)
    return tokenizer


def roles(kind: str) -> dict:
    """What tokenizer_config.json says of each kind's special tokens."""
    if kind in ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "DebertaV2Tokenizer"):
        return dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    if kind == "T5Tokenizer":
        return dict(pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    return dict(
        bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
    )


def write_tokenizer(tokenizer: Tokenizer, folder: Path, kind: str, limit: int, **more) -> None:
    """tokenizer.json and tokenizer_config.json, as `transformers` 4 laid them out."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "tokenizer.json", json.loads(tokenizer.to_str()))
    config = {**roles(kind), "model_max_length": limit, "tokenizer_class": kind, **more}
    write_json(folder / "tokenizer_config.json", config, compact=False)
