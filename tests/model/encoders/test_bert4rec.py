from nextitem.model.encoders.bert4rec import BERT4Rec


def test_bert4rec_has_the_published_weights() -> None:
    encoder = BERT4Rec(dim=8, blocks=1, inner=16, positions=20).build()
    assert {name: tuple(weight.shape) for name, weight in encoder.state_dict().items()} == {
        "positions_Ld": (20, 8),
        "token_type_d": (8,),
        "embedding_norm.weight": (8,),
        "embedding_norm.bias": (8,),
        "blocks.0.query.weight": (8, 8),
        "blocks.0.query.bias": (8,),
        "blocks.0.key.weight": (8, 8),
        "blocks.0.key.bias": (8,),
        "blocks.0.value.weight": (8, 8),
        "blocks.0.value.bias": (8,),
        "blocks.0.out_projection.weight": (8, 8),
        "blocks.0.out_projection.bias": (8,),
        "blocks.0.attention_norm.weight": (8,),
        "blocks.0.attention_norm.bias": (8,),
        "blocks.0.inner.weight": (16, 8),
        "blocks.0.inner.bias": (16,),
        "blocks.0.outer.weight": (8, 16),
        "blocks.0.outer.bias": (8,),
        "blocks.0.forward_norm.weight": (8,),
        "blocks.0.forward_norm.bias": (8,),
    }
