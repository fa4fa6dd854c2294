"""The program that exports: its command line, what it prints, how it fails."""

import tensorflow as tf

from hierbert_tf.recipes.export import main
from tests.models.tiny_encoder import stirred, tiny_backbone, tiny_tokenizer


def encoder(folder):
    stirred(tiny_backbone()).save_to_preset(str(folder / "encoder"))
    tiny_tokenizer().save_to_preset(str(folder / "encoder"))
    return folder


def test_an_encoder_is_exported_and_not_over_itself(tmp_path, capsys):
    run, to = encoder(tmp_path / "run"), tmp_path / "saved" / "mine" / "3"
    command = ["--model", str(run), "--to", str(to), "embed.layer=1", "embed.pooling=cls"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "embed, embed_ids" in printed and "serving_default is embed" in printed
    assert "largest difference" in printed
    vectors = tf.saved_model.load(str(to)).signatures["embed"](text=tf.constant(["w1 w2"]))
    ids = tiny_tokenizer()("w1 w2").numpy().tolist()
    row = tf.constant([[ids_of("[CLS]"), *ids, ids_of("[SEP]")]])
    features = {"token_ids": row, "segment_ids": 0 * row, "padding_mask": 0 * row + 1}
    expected = stirred(tiny_backbone())(features)["layer_1"][0, 0]
    tf.debugging.assert_near(vectors["embedding"][0], expected, atol=1e-5)
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "exists" in error and str(to.parent / "4") in error


def test_unknown_settings_are_named(tmp_path, capsys):
    assert main(["--model", "x", "--to", str(tmp_path / "1"), "embed.pool=cls"]) == 2
    assert "pooling" in capsys.readouterr().err


def ids_of(token: str) -> int:
    return tiny_tokenizer().token_to_id(token)
