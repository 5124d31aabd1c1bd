"""The model for ONNX Runtime: exported from transformers, fused by ONNX Runtime's own optimizer, and in smaller dtypes.

Pooling and normalization are part of the graph, so that vectors leave it and not hidden states.
"""

import json
import logging
import shutil

import onnxruntime
import torch
from transformers import BertModel

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OPSET = 17
# What the optimizer must have found, for each layer of the model.
FUSED = {"Attention": 1, "BiasGelu": 1, "SkipLayerNormalization": 2}


class Pooled(torch.nn.Module):
    """The encoder, then the mean of the tokens, then length 1."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask, token_type_ids):
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state
        weights = attention_mask.to(hidden.dtype)
        weights = weights / weights.sum(1, keepdim=True)
        # One product in place of a multiplied copy of the hidden states.
        vector = torch.matmul(weights.unsqueeze(1), hidden).squeeze(1)
        return vector / torch.sqrt((vector * vector).sum(1, keepdim=True))


def export(model, path, dtype):
    # The optimizer knows the graph of attention written out, not that of PyTorch's fused one.
    encoder = BertModel.from_pretrained(model, attn_implementation="eager", add_pooling_layer=False).to(dtype)
    ids = torch.randint(1000, 2000, (2, 7))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    axes = {name: {0: "texts", 1: "tokens"} for name in INPUTS} | {"vector": {0: "texts"}}
    torch.onnx.export(
        Pooled(encoder).eval(), (ids, mask, torch.zeros_like(ids)), path, input_names=list(INPUTS), output_names=["vector"],
        dynamic_axes=axes, opset_version=OPSET, dynamo=False,
    )  # fmt: skip


def optimized(path, about):
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    found = optimizer.optimize_model(
        str(path), model_type="bert", num_heads=about["heads"], hidden_size=about["hidden"],
        optimization_options=FusionOptions("bert"), opt_level=0, use_gpu=False,
    )  # fmt: skip
    fused = found.get_fused_operator_statistics()
    for name, each in FUSED.items():
        expected = each * about["layers"]
        if fused.get(name) != expected:
            raise ValueError(f"expected {expected} fused operators {name}, found {fused.get(name)}")
    return found


def write_f32(model, about, folder):
    export(model, folder / "exported.onnx", torch.float32)
    optimized(folder / "exported.onnx", about).save_model_to_file(str(folder / "f32.onnx"))


def write_f16(model, about, folder):
    found = optimized(folder / "exported.onnx", about)
    found.convert_float_to_float16()
    found.save_model_to_file(str(folder / "f16.onnx"))


def write_bf16(model, about, folder):
    """As exported: the optimizer has no conversion to bf16."""
    export(model, folder / "bf16.onnx", torch.bfloat16)


def write_int8(model, about, folder):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        folder / "f32.onnx", folder / "int8.onnx", weight_type=QuantType.QInt8, per_channel=True,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )  # fmt: skip


WRITERS = {"f32": write_f32, "int8": write_int8, "f16": write_f16, "bf16": write_bf16}


def export_all(model, about, folder, wanted):
    """Writes each variant that is wanted and has ONNX Runtime open it; failures are reported in variants.json."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    found = {}
    # The others are made of f32.
    for variant in ["f32", *(name for name in WRITERS if name in wanted and name != "f32")]:
        try:
            WRITERS[variant](model, about, folder)
            onnxruntime.InferenceSession(str(folder / f"{variant}.onnx"), providers=["CPUExecutionProvider"])
            found[variant] = {"file": f"{variant}.onnx"}
        except Exception as error:  # noqa: BLE001 - ONNX Runtime has a class for each of its status codes
            found[variant] = {"missing": " ".join(str(error).split())}
    (folder / "variants.json").write_text(json.dumps(found, indent=1) + "\n")
