"""Models with heads, saved by sentence-transformers and run by it: sparse vectors, embeddings, scores of pairs, token vectors."""

import json
import shutil
import tempfile
from pathlib import Path

import numpy
import torch
import transformers
from safetensors.numpy import load_file
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
from tokenizers import Tokenizer, processors

import fixture_tokenizers
from fixture_common import (
    demo_queries, demo_texts, generator, minify, model_texts, pack, randomize, write_expected, write_json,
)
from fixture_models import DROPOUT, deberta_config, fresh

POOLINGS = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


def queries() -> list[str]:
    chosen = demo_queries()
    return [chosen[1], chosen[22], chosen[43], "volcano volcano VOLCANO lava", "", "[MASK] e </s>"]


def pairs() -> list[list[str]]:
    """Pairs of every proportion: both short, one or both longer than the model takes, one or both empty."""
    asked, passages = demo_queries(), demo_texts()
    return [
        [asked[0], passages[0]],
        [asked[0], passages[60]],
        [asked[25], passages[45][:60]],
        [asked[45], passages[85]],
        [passages[1], passages[2]],
        [passages[3], "lava"],
        ["", passages[4][:50]],
        ["magma", ""],
        ["", ""],
    ]


def write_base(model, tokenizer: Tokenizer, kind: str, limit: int, seed: int, splade: bool = False, **more) -> str:
    """A model and its tokenizer in a folder of their own, from which sentence-transformers then loads them."""
    folder = Path(tempfile.mkdtemp(prefix="fixture-"))
    t5_heads = model.config.num_heads if model.config.model_type == "t5" else 0
    randomize(model, seed, t5_heads)
    if splade:
        # Most logits below zero, as trained models have them.
        decoder = model.get_output_embeddings()
        with torch.no_grad():
            decoder.bias.copy_(torch.randn(decoder.bias.shape, generator=generator(seed, "decoder")) * 1.5 - 4.0)
    model.save_pretrained(folder)
    fixture_tokenizers.write_tokenizer(tokenizer, folder, kind, limit, **more)
    return str(folder)


def save(model, name: str) -> Path:
    folder = fresh(name)
    model.eval()
    model.save_pretrained(str(folder), create_model_card=False)
    (folder / "README.md").unlink(missing_ok=True)
    for path in folder.rglob("tokenizer_config.json"):
        settings = json.loads(path.read_text(encoding="utf-8"))
        write_json(path, {key: settings[key] for key in settings if key not in ("is_local", "local_files_only")}, compact=False)
    minify(folder)
    return folder


def edit(path: Path, value) -> None:
    write_json(path, value, compact=False)


def bert_like(vocabulary: int, limit: int, **changes) -> transformers.BertConfig:
    values = dict(
        vocab_size=vocabulary, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=52,
        max_position_embeddings=limit, type_vocab_size=2, pad_token_id=0, **DROPOUT,
    )
    return transformers.BertConfig(**{**values, **changes})


def roberta_like(kind, vocabulary: int, limit: int, **changes):
    values = dict(
        vocab_size=vocabulary, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=52,
        max_position_embeddings=limit + 2, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        layer_norm_eps=1e-5, **DROPOUT,
    )
    return kind(**{**values, **changes})


# --- Sparse vectors -------------------------------------------------------------------------------------------------------


def sparse_rows(model: SparseEncoder, texts: list[str], task: str | None = None) -> numpy.ndarray:
    encode = {None: model.encode, "query": model.encode_query, "document": model.encode_document}[task]
    return encode(texts, convert_to_sparse_tensor=False, show_progress_bar=False).float().cpu().numpy()


def finish_sparse(folder: Path, **queries_too) -> None:
    """Encodes with what was saved, not with what is in memory: an edited folder must load."""
    model = SparseEncoder(str(folder), device="cpu")
    texts = model_texts()
    tensors = {"sparse": sparse_rows(model, texts, "document" if queries_too else None)}
    if queries_too:
        write_json(folder / "queries.json", queries())
        tensors["sparse_queries"] = sparse_rows(model, queries(), "query")
    write_json(folder / "texts.json", texts)
    write_expected(folder, **tensors)


def splade_max() -> None:
    model = transformers.BertForMaskedLM(bert_like(400, 64))
    base = write_base(model, fixture_tokenizers.bert(400, True), "BertTokenizer", 64, 101, splade=True, do_lower_case=True)
    transformer = Transformer(base, transformer_task="fill-mask", processor_kwargs={"model_max_length": 48})
    finish_sparse(save(SparseEncoder(modules=[transformer, SpladePooling("max")]), "splade-max"))


def splade_sum() -> None:
    """As sentence-transformers 5.0 to 5.3 saved: MLMTransformer, max_seq_length in sentence_bert_config.json."""
    config = transformers.DistilBertConfig(
        vocab_size=500, dim=24, n_layers=1, n_heads=3, hidden_dim=52, max_position_embeddings=64, dropout=0.0,
        attention_dropout=0.0, pad_token_id=0,
    )
    model = transformers.DistilBertForMaskedLM(config)
    base = write_base(model, fixture_tokenizers.bert(500, True), "DistilBertTokenizer", 64, 102, splade=True, do_lower_case=True)
    transformer = Transformer(base, transformer_task="fill-mask")
    folder = save(SparseEncoder(modules=[transformer, SpladePooling("sum")]), "splade-sum")
    old = "sentence_transformers.sparse_encoder.models"
    edit(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": f"{old}.MLMTransformer"},
            {"idx": 1, "name": "1", "path": "1_SpladePooling", "type": f"{old}.SpladePooling"},
        ],
    )
    edit(folder / "sentence_bert_config.json", {"max_seq_length": 40, "do_lower_case": False})
    edit(
        folder / "1_SpladePooling" / "config.json",
        {"pooling_strategy": "sum", "activation_function": "relu", "word_embedding_dimension": 500},
    )
    finish_sparse(folder)


def splade_log1p() -> None:
    config = roberta_like(transformers.XLMRobertaConfig, 500, 60)
    model = transformers.XLMRobertaForMaskedLM(config)
    base = write_base(model, fixture_tokenizers.xlm_roberta(500, False), "XLMRobertaTokenizer", 60, 103, splade=True)
    transformer = Transformer(base, transformer_task="fill-mask")
    finish_sparse(save(SparseEncoder(modules=[transformer, SpladePooling("max", "log1p_relu")]), "splade-log1p"))


def splade_separate() -> None:
    """A decoder of its own, not the word embeddings."""
    changes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, tie_word_embeddings=False)
    config = roberta_like(transformers.RobertaConfig, 400, 60, **changes)
    model = transformers.RobertaForMaskedLM(config)
    base = write_base(
        model, fixture_tokenizers.roberta(400), "RobertaTokenizer", 60, 104, splade=True, add_prefix_space=False
    )
    transformer = Transformer(base, transformer_task="fill-mask")
    finish_sparse(save(SparseEncoder(modules=[transformer, SpladePooling("sum", "log1p_relu")]), "splade-separate"))


def router(seed: int) -> Router:
    model = transformers.BertForMaskedLM(bert_like(400, 48, hidden_size=16, num_hidden_layers=1))
    base = write_base(model, fixture_tokenizers.bert(400, True), "BertTokenizer", 48, seed, splade=True, do_lower_case=True)
    transformer = Transformer(base, transformer_task="fill-mask")
    weight = torch.rand(400, generator=generator(seed, "idf")) * 5.0
    weight[:5] = 0.0
    return Router.for_query_document(
        query_modules=[SparseStaticEmbedding(transformer.tokenizer, weight, frozen=True)],
        document_modules=[transformer, SpladePooling("max", "log1p_relu")],
    )


def splade_inference_free() -> None:
    finish_sparse(save(SparseEncoder(modules=[router(105)]), "splade-inference-free"), both=True)


def splade_inference_free_published() -> None:
    """As the models of this kind are published: the transformer in the root, under the empty name, with idf.json in the same folder."""
    folder = save(SparseEncoder(modules=[router(106)]), "splade-inference-free-published")
    for path in (folder / "document_0_Transformer").iterdir():
        path.rename(folder / path.name)
    (folder / "document_0_Transformer").rmdir()
    old = "sentence_transformers.sparse_encoder.models"
    edit(
        folder / "router_config.json",
        {
            "types": {
                "query_0_SparseStaticEmbedding": f"{old}.SparseStaticEmbedding.SparseStaticEmbedding",
                "": f"{old}.MLMTransformer.MLMTransformer",
                "document_1_SpladePooling": f"{old}.SpladePooling.SpladePooling",
            },
            "structure": {"query": ["query_0_SparseStaticEmbedding"], "document": ["", "document_1_SpladePooling"]},
            "parameters": {"default_route": "document", "allow_empty_key": True},
        },
    )
    edit(folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Router"}])
    edit(folder / "sentence_bert_config.json", {"max_seq_length": 48, "do_lower_case": False})
    finish_sparse(folder, both=True)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    weight = load_file(folder / "query_0_SparseStaticEmbedding" / "model.safetensors")["weight"]
    table = {tokenizer.id_to_token(number): float(value) for number, value in enumerate(weight) if value > 0}
    write_json(folder / "idf.json", table)


# --- Embeddings -----------------------------------------------------------------------------------------------------------


def finish_embeddings(folder: Path, prompts: bool = False, poolings: bool = False) -> None:
    model = SentenceTransformer(str(folder), device="cpu")
    texts = model_texts()
    encode = dict(show_progress_bar=False, convert_to_numpy=True)
    tensors = {"embeddings": model.encode(texts, **encode)}
    if prompts:
        tensors["query_embeddings"] = model.encode_query(texts, **encode)
        tensors["document_embeddings"] = model.encode_document(texts, **encode)
    if poolings:
        for mode in POOLINGS:
            pooling = Pooling(model[0].get_embedding_dimension(), mode)
            tensors[f"pooling_{mode}"] = SentenceTransformer(modules=[model[0], pooling], device="cpu").encode(texts, **encode)
    write_json(folder / "texts.json", texts)
    write_expected(folder, **tensors)


def st_mean() -> None:
    model = transformers.BertModel(bert_like(400, 64))
    base = write_base(model, fixture_tokenizers.bert(400, True), "BertTokenizer", 64, 201, do_lower_case=True)
    transformer = Transformer(base, processor_kwargs={"model_max_length": 40})
    folder = save(SentenceTransformer(modules=[transformer, Pooling(24, "mean"), Normalize()]), "st-mean")
    finish_embeddings(folder, poolings=True)


def st_cls() -> None:
    """As sentence-transformers 2 to 5.3 saved: other module names, a flag for each pooling, max_seq_length in sentence_bert_config.json."""
    model = transformers.BertModel(bert_like(400, 64, num_hidden_layers=1))
    base = write_base(model, fixture_tokenizers.bert(400, False), "BertTokenizer", 64, 202, do_lower_case=False)
    folder = save(SentenceTransformer(modules=[Transformer(base), Pooling(24, "cls"), Normalize()]), "st-cls")
    old = "sentence_transformers.models"
    edit(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": f"{old}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{old}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{old}.Normalize"},
        ],
    )
    edit(folder / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    flags = {
        "cls_token": True, "mean_tokens": False, "max_tokens": False, "mean_sqrt_len_tokens": False,
        "weightedmean_tokens": False, "lasttoken": False,
    }
    settings = {"word_embedding_dimension": 24, **{f"pooling_mode_{mode}": flag for mode, flag in flags.items()}}
    edit(folder / "1_Pooling" / "config.json", {**settings, "include_prompt": True})
    shutil.rmtree(folder / "2_Normalize", ignore_errors=True)
    versions = {"__version__": {"sentence_transformers": "2.2.2", "transformers": "4.30.0", "pytorch": "2.0.1"}}
    edit(folder / "config_sentence_transformers.json", versions)
    finish_embeddings(folder)


def st_max() -> None:
    config = roberta_like(transformers.XLMRobertaConfig, 500, 60, num_hidden_layers=1)
    model = transformers.XLMRobertaModel(config)
    base = write_base(model, fixture_tokenizers.xlm_roberta(500, False), "XLMRobertaTokenizer", 60, 203)
    finish_embeddings(save(SentenceTransformer(modules=[Transformer(base), Pooling(24, "max")]), "st-max"))


def st_dense() -> None:
    """T5, then a linear layer without bias, as GTR and sentence-T5 have it."""
    config = transformers.T5Config(
        vocab_size=500, d_model=24, d_kv=8, num_heads=2, d_ff=52, num_layers=1, relative_attention_num_buckets=8,
        relative_attention_max_distance=20, feed_forward_proj="relu", dropout_rate=0.0, pad_token_id=0, eos_token_id=1,
        decoder_start_token_id=0,
    )
    model = transformers.T5EncoderModel(config)
    base = write_base(model, fixture_tokenizers.t5(500, False), "T5Tokenizer", 50, 204, extra_ids=10)
    dense = randomize(Dense(24, 18, bias=False, activation_function=torch.nn.Identity()), 205)
    modules = [Transformer(base), Pooling(24, "mean"), dense, Normalize()]
    finish_embeddings(save(SentenceTransformer(modules=modules), "st-dense"))


def st_prompts() -> None:
    """Prompts for queries and documents, and a linear layer with bias and hyperbolic tangent."""
    model = transformers.BertModel(bert_like(400, 64, hidden_act="gelu_new", num_hidden_layers=1))
    base = write_base(model, fixture_tokenizers.bert(400, True), "BertTokenizer", 64, 206, do_lower_case=True)
    dense = randomize(Dense(24, 20), 207)
    modules = [Transformer(base), Pooling(24, "mean"), dense]
    prompts = {"query": "query: ", "document": "passage: "}
    finish_embeddings(save(SentenceTransformer(modules=modules, prompts=prompts), "st-prompts"), prompts=True)


# --- Scores of pairs ------------------------------------------------------------------------------------------------------


def finish_cross(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu")
    options = dict(show_progress_bar=False, convert_to_numpy=True)
    asked = [tuple(pair) for pair in pairs()]
    logits = model.predict(asked, activation_fn=torch.nn.Identity(), **options)
    tensors = {"logits": logits.reshape(len(asked), -1), "scores": model.predict(asked, **options).reshape(len(asked), -1)}
    if model.num_labels > 1:
        tensors["probabilities"] = model.predict(asked, apply_softmax=True, **options)
    write_json(folder / "pairs.json", pairs())
    write_expected(folder, **tensors)


def cross(name: str, model, tokenizer: Tokenizer, kind: str, limit: int, seed: int, **more) -> Path:
    base = write_base(model, tokenizer, kind, limit, seed, **more)
    return save(CrossEncoder(base, device="cpu"), name)


def ce_bert() -> None:
    model = transformers.BertForSequenceClassification(bert_like(400, 64, num_labels=1))
    finish_cross(cross("ce-bert", model, fixture_tokenizers.bert(400, True), "BertTokenizer", 64, 301, do_lower_case=True))


def ce_bert_old() -> None:
    """As sentence-transformers before 4 saved: nothing but a plain folder, the activation in config.json."""
    model = transformers.BertForSequenceClassification(bert_like(400, 48, num_labels=1, hidden_size=16, num_hidden_layers=1))
    folder = cross("ce-bert-old", model, fixture_tokenizers.bert(400, True), "BertTokenizer", 48, 302, do_lower_case=True)
    for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (folder / name).unlink()
    config = json.loads((folder / "config.json").read_text())
    config["sbert_ce_default_activation_function"] = "torch.nn.modules.linear.Identity"
    edit(folder / "config.json", config)
    finish_cross(folder)


def ce_roberta() -> None:
    config = roberta_like(transformers.RobertaConfig, 400, 60, num_labels=2, num_hidden_layers=1)
    model = transformers.RobertaForSequenceClassification(config)
    tokenizer = fixture_tokenizers.roberta(400)
    finish_cross(cross("ce-roberta", model, tokenizer, "RobertaTokenizer", 60, 303, add_prefix_space=False))


def ce_electra() -> None:
    """The activation is named in config.json, as sentence-transformers 4 and 5 have it."""
    config = transformers.ElectraConfig(
        vocab_size=400, embedding_size=16, hidden_size=24, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=52, max_position_embeddings=64, type_vocab_size=2, pad_token_id=0, num_labels=1, **DROPOUT,
    )
    model = transformers.ElectraForSequenceClassification(config)
    folder = cross("ce-electra", model, fixture_tokenizers.bert(400, True), "ElectraTokenizer", 64, 304, do_lower_case=True)
    for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (folder / name).unlink()
    config = json.loads((folder / "config.json").read_text())
    config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "4.1.0"}
    edit(folder / "config.json", config)
    finish_cross(folder)


def ce_distilbert() -> None:
    config = transformers.DistilBertConfig(
        vocab_size=400, dim=24, n_layers=1, n_heads=3, hidden_dim=52, max_position_embeddings=64, dropout=0.0,
        attention_dropout=0.0, seq_classif_dropout=0.0, pad_token_id=0, num_labels=3,
    )
    model = transformers.DistilBertForSequenceClassification(config)
    tokenizer = fixture_tokenizers.bert(400, True)
    finish_cross(cross("ce-distilbert", model, tokenizer, "DistilBertTokenizer", 64, 305, do_lower_case=True))


def ce_deberta() -> None:
    """Content to position only; the classifier's own pooler with GELU."""
    config = deberta_config(
        400, num_hidden_layers=1, hidden_size=24, num_attention_heads=2, position_buckets=12, max_position_embeddings=60,
        pos_att_type=["c2p"], num_labels=1, pooler_hidden_size=24, type_vocab_size=2,
    )
    model = transformers.DebertaV2ForSequenceClassification(config)
    tokenizer = fixture_tokenizers.deberta(400, False)
    finish_cross(cross("ce-deberta", model, tokenizer, "DebertaV2Tokenizer", 60, 306, do_lower_case=False))


# --- Scores of pairs by a decoder -----------------------------------------------------------------------------------------


TEMPLATE = ("Query:", "Document:", "Relevant:")


def prompted(folder: Path, asked: list[list[str]], limit: int) -> list[list[int]]:
    """The ids of "Query: … Document: … Relevant:" for each pair. The two texts are truncated longest first; the words around
    them are special tokens of a pair, which truncation keeps."""
    whole = Tokenizer.from_file(str(folder / "tokenizer.json"))
    words = [whole.encode(word, add_special_tokens=False) for word in TEMPLATE]
    names = ("[QUERY]", "[DOCUMENT]", "[RELEVANT]")
    cut = Tokenizer.from_file(str(folder / "tokenizer.json"))
    cut.post_processor = processors.TemplateProcessing(
        single="$A </s>",
        pair="[QUERY] $A [DOCUMENT] $B [RELEVANT] </s>",
        special_tokens=[{"id": name, "ids": word.ids, "tokens": word.tokens} for name, word in zip(names, words)]
        + [("</s>", whole.token_to_id("</s>"))],
    )
    cut.enable_truncation(limit, strategy="longest_first")
    sequences, whole_ones = [], 0
    for query, document in asked:
        ids = cut.encode(query, document).ids
        text = whole.encode(f"Query: {query} Document: {document} Relevant:").ids
        assert len(ids) == min(limit, len(text)), folder.name
        if len(text) <= limit:
            assert ids == text, (folder.name, query, document)
            whole_ones += 1
        sequences.append(ids)
    assert 0 < whole_ones < len(sequences)
    return sequences


def finish_answers(folder: Path, words: tuple[str, str], limit: int) -> None:
    """The logits of the two answers after one step of the decoder, and the log-probability of the second."""
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    answers = [tokenizer.token_to_id(word) for word in words]
    sequences = prompted(folder, pairs(), limit)
    start = torch.tensor([[model.config.decoder_start_token_id or 0]])

    def logits(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            decoder = start.expand(len(ids), 1)
            return model(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder).logits[:, 0, answers]

    alone = torch.cat([logits(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long)) for ids in sequences])
    longest = max(len(ids) for ids in sequences)
    padded = torch.tensor([ids + [0] * (longest - len(ids)) for ids in sequences])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in sequences])
    assert torch.allclose(alone, logits(padded, mask), atol=1e-4)
    packed = pack(sequences, [[0] * len(ids) for ids in sequences])
    write_json(folder / "pairs.json", pairs())
    write_expected(
        folder, pair_ids=packed["ids"], pair_starts=packed["starts"], answer_logits=alone,
        log_probabilities=torch.log_softmax(alone, dim=1)[:, 1],
    )


def t5_like(config, **changes):
    values = dict(
        vocab_size=400, d_model=24, num_layers=2, relative_attention_num_buckets=8, relative_attention_max_distance=20,
        dropout_rate=0.0, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )
    return config(**{**values, **changes})


def answering(name: str, model, tokenizer: Tokenizer, seed: int, limit: int, keys: dict) -> Path:
    """A folder as transformers 4 saved it: without settings that newer versions add, and with `keys`."""
    folder = fresh(name)
    randomize(model, seed, model.config.num_heads)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    for key in ("scale_decoder_outputs", "tie_word_embeddings"):
        config.pop(key, None)
    edit(folder / "config.json", {**config, **keys})
    fixture_tokenizers.write_tokenizer(tokenizer, folder, "T5Tokenizer", limit, extra_ids=10)
    return folder


def mono_t5() -> None:
    """monoT5: T5 1.0 with ReLU, logits by the word embeddings, scaled; fewer layers in the decoder."""
    words = ("▁false", "▁true")
    config = t5_like(transformers.T5Config, d_kv=8, num_heads=3, d_ff=40, num_decoder_layers=1, feed_forward_proj="relu")
    model = transformers.T5ForConditionalGeneration(config)
    folder = answering("mono-t5", model, fixture_tokenizers.t5(400, False, words), 501, 80, {})
    finish_answers(folder, words, 80)


def mono_mt5() -> None:
    """Its multilingual form: a gated GELU, heads whose sizes do not add up to the model's, a head of its own, not scaled."""
    words = ("▁no", "▁yes")
    config = t5_like(
        transformers.MT5Config, d_kv=6, num_heads=3, d_ff=36, num_decoder_layers=2, feed_forward_proj="gated-gelu",
        relative_attention_num_buckets=32, relative_attention_max_distance=128,
    )
    model = transformers.MT5ForConditionalGeneration(config)
    model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.shared.weight))
    tokenizer = fixture_tokenizers.t5(400, True, words)
    folder = answering("mono-mt5", model, tokenizer, 502, 80, {"tie_word_embeddings": False})
    finish_answers(folder, words, 80)


# --- Late interaction -----------------------------------------------------------------------------------------------------


def max_sim(asked: list[torch.Tensor], documents: list[torch.Tensor]) -> torch.Tensor:
    """For each query and document: the sum over the query's vectors of the max product with a vector of the document."""
    return torch.stack(
        [torch.stack([(query @ document.T).max(dim=1).values.sum() for document in documents]) for query in asked]
    )


def starts_of(vectors: list[torch.Tensor]) -> numpy.ndarray:
    return numpy.cumsum([0] + [len(one) for one in vectors]).astype(numpy.int32)


def finish_late(folder: Path) -> None:
    model = MultiVectorEncoder(str(folder), device="cpu")
    texts = model_texts()
    documents = model.encode_document(texts, show_progress_bar=False)
    asked = model.encode_query(queries(), show_progress_bar=False)
    scores = max_sim(asked, documents)
    assert torch.allclose(scores, model.similarity(asked, documents), atol=1e-5)
    write_json(folder / "texts.json", texts)
    write_json(folder / "queries.json", queries())
    write_expected(
        folder, token_vectors=torch.cat(documents), starts=starts_of(documents), query_vectors=torch.cat(asked),
        query_starts=starts_of(asked), max_sim=scores,
    )


def late_interaction(seed: int, tokenizer: Tokenizer) -> list[torch.nn.Module]:
    model = transformers.BertModel(bert_like(tokenizer.get_vocab_size(), 48, num_hidden_layers=1))
    base = write_base(model, tokenizer, "BertTokenizer", 48, seed, do_lower_case=True)
    identity = torch.nn.Identity()
    dense = Dense(24, 20, bias=False, activation_function=identity, module_input_name="token_embeddings")
    normalize = Normalize(module_input_name="token_embeddings")
    return [Transformer(base), randomize(dense, seed + 1), MultiVectorMask(), normalize]


def colbert() -> None:
    """Every token counts, in queries and in documents: no prompts, no expansion, no skipped words."""
    modules = late_interaction(401, fixture_tokenizers.bert(400, True))
    finish_late(save(MultiVectorEncoder(modules=modules), "colbert"))


def colbert_pylate() -> None:
    """As PyLate saved until version 3: queries begin with the token `[Q] ` and are filled up with `[MASK]` to a fixed length (seen
    by no other token, but scored), documents begin with `[D] ` and leave punctuation out."""
    tokenizer = fixture_tokenizers.bert(400, True)
    tokenizer.add_tokens(["[Q] ", "[D] "])
    folder = save(MultiVectorEncoder(modules=late_interaction(403, tokenizer)), "colbert-pylate")
    shutil.rmtree(folder / "2_MultiVectorMask")
    shutil.rmtree(folder / "3_Normalize")
    edit(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
        ],
    )
    edit(folder / "sentence_bert_config.json", {"max_seq_length": 47, "do_lower_case": False})
    dense = {"in_features": 24, "out_features": 20, "bias": False, "activation_function": "torch.nn.modules.linear.Identity"}
    edit(folder / "1_Dense" / "config.json", dense)
    edit(
        folder / "config_sentence_transformers.json",
        {
            "__version__": {"sentence_transformers": "4.0.2", "transformers": "4.48.0", "pytorch": "2.5.1"},
            "prompts": {}, "default_prompt_name": None, "similarity_fn_name": "MaxSim", "model_type": "ColBERT",
            "query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 24, "document_length": 40,
            "attend_to_expansion_tokens": False, "do_query_expansion": True,
            "skiplist_words": list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        },
    )
    finish_late(folder)


ALL = [
    splade_max, splade_sum, splade_log1p, splade_separate, splade_inference_free, splade_inference_free_published,
    st_mean, st_cls, st_max, st_dense, st_prompts, ce_bert, ce_bert_old, ce_roberta, ce_electra, ce_distilbert,
    ce_deberta, mono_t5, mono_mt5, colbert, colbert_pylate,
]


def write_heads() -> None:
    for write in ALL:
        write()
