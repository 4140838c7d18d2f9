"""How the families name the matrices of a layer: the tensor's suffix in a checkpoint -> its kind."""

# A layer's tensor: its number, and its suffix.
BERT_LAYER = r"encoder\.layer\.(\d+)\.(.+)\.weight"
BERT_KINDS = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attention-output",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
}
DISTILBERT_KINDS = {
    "attention.q_lin": "query",
    "attention.k_lin": "key",
    "attention.v_lin": "value",
    "attention.out_lin": "attention-output",
    "ffn.lin1": "intermediate",
    "ffn.lin2": "output",
}
DEBERTA_KINDS = {
    "attention.self.query_proj": "query",
    "attention.self.key_proj": "key",
    "attention.self.value_proj": "value",
    "attention.output.dense": "attention-output",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
}
MPNET_KINDS = {
    "attention.attn.q": "query",
    "attention.attn.k": "key",
    "attention.attn.v": "value",
    "attention.attn.o": "attention-output",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
}
ALBERT_KINDS = {
    "attention.query": "query",
    "attention.key": "key",
    "attention.value": "value",
    "attention.dense": "attention-output",
    "ffn": "intermediate",
    "ffn_output": "output",
}
GATED_LAYER = r"layers\.(\d+)\.(.+)\.weight"
GATED_KINDS = {
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.o_proj": "attention-output",
    "mlp.gate_proj": "intermediate",
    "mlp.up_proj": "multiplier",
    "mlp.down_proj": "output",
}
MODERNBERT_KINDS = {
    "attn.Wqkv.query": "query",
    "attn.Wqkv.key": "key",
    "attn.Wqkv.value": "value",
    "attn.Wo": "attention-output",
    "mlp.Wi.intermediate": "intermediate",
    "mlp.Wi.multiplier": "multiplier",
    "mlp.Wo": "output",
}
