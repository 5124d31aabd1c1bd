"""Small models of each family with random weights, and the hidden states that PyTorch computes with them."""

import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

import fixture_tokenizers
from fixture_common import MODELS, generator, model_texts, pack, randomize, write_expected, write_json

DROPOUT = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def fresh(name: str) -> Path:
    folder = MODELS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def sequences_of(folder: Path, texts: list[str], limit: int, kinds: int, vocabulary: int):
    """The token ids of the texts, cut at `limit`, then two sequences that no text gives: a single token, and random
    tokens with random types."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)
    encodings = [tokenizer.encode(text) for text in texts]
    sequences = [encoding.ids for encoding in encodings]
    types = [encoding.type_ids for encoding in encodings]
    numbers = generator(11, folder.name)
    # Not the first ids: RoBERTa takes positions from which tokens are not padding.
    sequences.append([int(torch.randint(5, vocabulary, (1,), generator=numbers))])
    types.append([0])
    sequences.append(torch.randint(5, vocabulary, (13,), generator=numbers).tolist())
    types.append(torch.randint(0, max(kinds, 1), (13,), generator=numbers).tolist())
    return sequences, types


def hidden_states(model, sequences: list[list[int]], types: list[list[int]], kinds: int) -> torch.Tensor:
    """The last hidden states of each sequence, computed alone."""
    rows = []
    with torch.inference_mode():
        for sequence, kind in zip(sequences, types):
            inputs = {"input_ids": torch.tensor([sequence]), "attention_mask": torch.ones(1, len(sequence), dtype=torch.long)}
            if kinds > 0:
                inputs["token_type_ids"] = torch.tensor([kind])
            rows.append(model(**inputs).last_hidden_state[0].float())
    return torch.cat(rows)


def finish(folder: Path, encoder, limit: int, kinds: int, vocabulary: int) -> None:
    """texts.json and expected.safetensors of a folder with model and tokenizer."""
    texts = model_texts()
    sequences, types = sequences_of(folder, texts, limit, kinds, vocabulary)
    hidden = hidden_states(encoder.eval(), sequences, types, kinds)
    write_json(folder / "texts.json", texts)
    write_expected(folder, **pack(sequences, types), hidden=hidden)


def save(model, folder: Path, **options) -> None:
    model.save_pretrained(folder, **options)
    (folder / "generation_config.json").unlink(missing_ok=True)


# --- BERT -----------------------------------------------------------------------------------------------------------------


def bert_config(vocabulary: int, **changes) -> transformers.BertConfig:
    values = dict(
        vocab_size=vocabulary, hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=76,
        max_position_embeddings=64, type_vocab_size=2, pad_token_id=0, layer_norm_eps=1e-12, **DROPOUT,
    )
    return transformers.BertConfig(**{**values, **changes})


def small_bert_config(vocabulary: int, **changes) -> transformers.BertConfig:
    """For the folders about ways of storing weights."""
    return bert_config(
        vocabulary, **{**dict(hidden_size=16, num_attention_heads=2, intermediate_size=37, max_position_embeddings=32), **changes}
    )


def bert() -> None:
    folder = fresh("bert")
    tokenizer = fixture_tokenizers.bert(600, lowercase=True)
    # As all-MiniLM-L6-v2 has it: truncation and padding left in the file, to be ignored by who reads it.
    tokenizer.enable_truncation(12)
    tokenizer.enable_padding(length=12, pad_id=0, pad_token="[PAD]")
    fixture_tokenizers.write_tokenizer(tokenizer, folder, "BertTokenizer", 64, do_lower_case=True, strip_accents=None)
    model = randomize(transformers.BertModel(bert_config(600)), 1)
    save(model, folder)
    finish(folder, model, 64, 2, 600)


def bert_masked() -> None:
    """The published form of most BERT models: prefix `bert.`, a masked language model's head with a tied decoder; and
    another activation."""
    folder = fresh("bert-masked")
    tokenizer = fixture_tokenizers.bert(700, lowercase=False)
    fixture_tokenizers.write_tokenizer(tokenizer, folder, "BertTokenizer", 48, do_lower_case=False)
    config = bert_config(
        700, hidden_size=32, num_attention_heads=4, num_hidden_layers=1, intermediate_size=50, hidden_act="gelu_new",
        max_position_embeddings=48,
    )
    model = randomize(transformers.BertForMaskedLM(config), 2)
    save(model, folder)
    finish(folder, model.bert, 48, 2, 700)


def bert_half(name: str, kind: torch.dtype, seed: int) -> None:
    """Weights of 16 bits; the hidden states are those of the same weights in f32 arithmetic."""
    folder = fresh(name)
    fixture_tokenizers.write_tokenizer(fixture_tokenizers.bert(300, True), folder, "BertTokenizer", 32, do_lower_case=True)
    model = randomize(transformers.BertModel(small_bert_config(300), add_pooling_layer=False), seed).to(kind)
    save(model, folder)
    finish(folder, model.float(), 32, 2, 300)


def bert_sharded() -> None:
    folder = fresh("bert-sharded")
    fixture_tokenizers.write_tokenizer(fixture_tokenizers.bert(300, True), folder, "BertTokenizer", 32, do_lower_case=True)
    model = randomize(transformers.BertModel(small_bert_config(300), add_pooling_layer=False), 5)
    save(model, folder, max_shard_size="20KB")
    assert (folder / "model.safetensors.index.json").exists()
    finish(folder, model, 32, 2, 300)


def bert_old() -> None:
    """As the oldest converted models are: `gamma` and `beta`, prefix `bert.`, position ids of 64 bits among the weights, a head
    with `cls.predictions.bias` only, a configuration without newer keys, and vocab.txt instead of tokenizer.json."""
    folder = fresh("bert-old")
    tokenizer = fixture_tokenizers.bert(300, lowercase=False, chinese=False)
    fixture_tokenizers.write_tokenizer(tokenizer, folder, "BertTokenizer", 32)
    config = small_bert_config(300, hidden_act="relu")
    model = randomize(transformers.BertForMaskedLM(config), 6)
    save(model, folder)
    finish(folder, model.bert, 32, 2, 300)

    tensors = load_file(folder / "model.safetensors")
    renamed = {}
    for name, tensor in tensors.items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        renamed[name] = tensor.clone()
    renamed["bert.embeddings.position_ids"] = torch.arange(32).unsqueeze(0)
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})

    (folder / "config.json").write_text(
        json.dumps(
            {
                "architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.0, "hidden_act": "relu",
                "hidden_dropout_prob": 0.0, "hidden_size": 16, "initializer_range": 0.02, "intermediate_size": 37,
                "max_position_embeddings": 32, "model_type": "bert", "num_attention_heads": 2, "num_hidden_layers": 2,
                "type_vocab_size": 2, "vocab_size": 300,
            },
            indent=2,
        )
        + "\n"
    )
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    (folder / "vocab.txt").write_text("".join(token + "\n" for token, _ in vocabulary), encoding="utf-8")
    (folder / "tokenizer.json").unlink()
    settings = {"do_lower_case": False, "tokenize_chinese_chars": False, "model_max_length": 32}
    write_json(folder / "tokenizer_config.json", settings, compact=False)


# --- Relatives of BERT ----------------------------------------------------------------------------------------------------


def distilbert() -> None:
    folder = fresh("distilbert")
    fixture_tokenizers.write_tokenizer(fixture_tokenizers.bert(500, True), folder, "DistilBertTokenizer", 64, do_lower_case=True)
    config = transformers.DistilBertConfig(
        vocab_size=500, dim=32, n_layers=2, n_heads=4, hidden_dim=75, max_position_embeddings=64, dropout=0.0,
        attention_dropout=0.0, pad_token_id=0,
    )
    model = randomize(transformers.DistilBertForMaskedLM(config), 7)
    save(model, folder)
    finish(folder, model.distilbert, 64, 0, 500)


def roberta() -> None:
    folder = fresh("roberta")
    fixture_tokenizers.write_tokenizer(fixture_tokenizers.roberta(500), folder, "RobertaTokenizer", 64, add_prefix_space=False)
    config = transformers.RobertaConfig(
        vocab_size=500, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=52,
        max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        layer_norm_eps=1e-5, **DROPOUT,
    )
    model = randomize(transformers.RobertaForMaskedLM(config), 8)
    save(model, folder)
    finish(folder, model.roberta, 64, 1, 500)


def xlm_roberta() -> None:
    folder = fresh("xlm-roberta")
    fixture_tokenizers.write_tokenizer(fixture_tokenizers.xlm_roberta(900, full=True), folder, "XLMRobertaTokenizer", 64)
    config = transformers.XLMRobertaConfig(
        vocab_size=900, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=70,
        max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        layer_norm_eps=1e-5, **DROPOUT,
    )
    model = randomize(transformers.XLMRobertaModel(config, add_pooling_layer=False), 9)
    save(model, folder)
    finish(folder, model, 64, 1, 900)


def electra() -> None:
    folder = fresh("electra")
    fixture_tokenizers.write_tokenizer(fixture_tokenizers.bert(400, True), folder, "ElectraTokenizer", 64, do_lower_case=True)
    config = transformers.ElectraConfig(
        vocab_size=400, embedding_size=20, hidden_size=36, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=60, max_position_embeddings=64, type_vocab_size=2, pad_token_id=0, **DROPOUT,
    )
    model = randomize(transformers.ElectraForPreTraining(config), 10)
    save(model, folder)
    finish(folder, model.electra, 64, 2, 400)


# --- T5 -------------------------------------------------------------------------------------------------------------------


def t5() -> None:
    """The first T5: ReLU, decoder in the same file, 8 buckets up to distance 20."""
    folder = fresh("t5")
    fixture_tokenizers.write_tokenizer(fixture_tokenizers.t5(500, False), folder, "T5Tokenizer", 100, extra_ids=10)
    config = transformers.T5Config(
        vocab_size=500, d_model=32, d_kv=8, num_heads=4, d_ff=70, num_layers=2, num_decoder_layers=1,
        relative_attention_num_buckets=8, relative_attention_max_distance=20, feed_forward_proj="relu",
        dropout_rate=0.0, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )
    model = randomize(transformers.T5ForConditionalGeneration(config), 12, heads_of_t5=4)
    save(model, folder)
    finish(folder, model.encoder, 100, 0, 500)


def mt5() -> None:
    """T5 1.1 as mT5 has it: a gated GELU, heads whose sizes do not add up to the model's, 32 buckets up to distance 128, encoder only."""
    folder = fresh("mt5")
    fixture_tokenizers.write_tokenizer(fixture_tokenizers.t5(500, True), folder, "T5Tokenizer", 180, extra_ids=10)
    config = transformers.MT5Config(
        vocab_size=500, d_model=32, d_kv=12, num_heads=3, d_ff=52, num_layers=2, relative_attention_num_buckets=32,
        relative_attention_max_distance=128, feed_forward_proj="gated-gelu", dropout_rate=0.0, pad_token_id=0,
        eos_token_id=1, decoder_start_token_id=0, tie_word_embeddings=False,
    )
    model = randomize(transformers.MT5EncoderModel(config), 13, heads_of_t5=3)
    save(model, folder)
    finish(folder, model, 180, 0, 500)


# --- DeBERTa-v2 -----------------------------------------------------------------------------------------------------------


def deberta_config(vocabulary: int, **changes) -> transformers.DebertaV2Config:
    values = dict(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=52,
        max_position_embeddings=64, type_vocab_size=0, pad_token_id=0, layer_norm_eps=1e-7, relative_attention=True,
        max_relative_positions=-1, position_buckets=16, position_biased_input=False, pos_att_type=["p2c", "c2p"],
        norm_rel_ebd="layer_norm", share_att_key=True, **DROPOUT,
    )
    return transformers.DebertaV2Config(**{**values, **changes})


def deberta() -> None:
    """Distances beyond max_relative_positions occur: they share the last bucket."""
    folder = fresh("deberta")
    fixture_tokenizers.write_tokenizer(fixture_tokenizers.deberta(500, False), folder, "DebertaV2Tokenizer", 64, do_lower_case=False)
    model = randomize(transformers.DebertaV2Model(deberta_config(500, max_relative_positions=40)), 14)
    save(model, folder)
    finish(folder, model, 64, 0, 500)


def deberta_convolution() -> None:
    """As deberta-v2-xlarge: a convolution of width 3 parallel to the first layer."""
    folder = fresh("deberta-convolution")
    fixture_tokenizers.write_tokenizer(fixture_tokenizers.deberta(400, False), folder, "DebertaV2Tokenizer", 64, do_lower_case=False)
    config = deberta_config(400, num_attention_heads=2, conv_kernel_size=3, conv_act="gelu", attention_head_size=16)
    model = randomize(transformers.DebertaV2Model(config), 15)
    save(model, folder)
    finish(folder, model, 64, 0, 400)


def deberta_v3() -> None:
    """As DeBERTa-v3 is published: prefix `deberta.`, pos_att_type in one string, heads that an encoder leaves alone."""
    folder = fresh("deberta-v3")
    fixture_tokenizers.write_tokenizer(
        fixture_tokenizers.deberta(500, True), folder, "DebertaV2Tokenizer", 64, do_lower_case=True, split_by_punct=True
    )
    config = deberta_config(500, hidden_size=36, num_attention_heads=3, intermediate_size=60, position_buckets=10)
    model = randomize(transformers.DebertaV2ForMaskedLM(config), 16)
    save(model, folder)
    finish(folder, model.deberta, 64, 0, 500)
    path = folder / "config.json"
    stored = json.loads(path.read_text())
    stored["pos_att_type"] = "p2c|c2p"
    path.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")


def deberta_plain() -> None:
    """What the others leave out: no buckets, keys and queries of their own for positions, no norm over them, absolute positions
    added, token types, and embeddings narrower than the model."""
    folder = fresh("deberta-plain")
    fixture_tokenizers.write_tokenizer(fixture_tokenizers.deberta(400, False), folder, "DebertaV2Tokenizer", 48, do_lower_case=False)
    config = deberta_config(
        400, max_position_embeddings=48, max_relative_positions=20, position_buckets=-1,
        share_att_key=False, norm_rel_ebd="none", pos_att_type=["c2p", "p2c"], position_biased_input=True, type_vocab_size=2,
        embedding_size=20,
    )
    model = randomize(transformers.DebertaV2Model(config), 17)
    save(model, folder)
    finish(folder, model, 48, 2, 400)


ALL = [
    bert, t5, deberta, bert_masked,
    lambda: bert_half("bert-f16", torch.float16, 3), lambda: bert_half("bert-bf16", torch.bfloat16, 4),
    bert_sharded, bert_old, distilbert, roberta, xlm_roberta, electra, mt5, deberta_convolution, deberta_v3, deberta_plain,
]


def write_models() -> None:
    for write in ALL:
        write()
