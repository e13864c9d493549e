import * as z from "zod";
import type { Architecture, BackboneConfig } from "./architecture.ts";
import { limits } from "./limits.ts";
import { parseConfigWith } from "./parse.ts";
import { postNormEncoder } from "./post-norm.ts";

interface AlbertConfig extends BackboneConfig {
  /** Groups of layers with weights of their own. */
  readonly groups: number;
  /** Layers of a group. */
  readonly inner: number;
}

const count = z.int().positive().max(limits.layers);
const schema = z
  .object({
    num_hidden_layers: count,
    num_hidden_groups: count.default(1),
    inner_group_num: count.default(1),
  })
  .refine(({ num_hidden_layers, inner_group_num }) => num_hidden_layers * inner_group_num <= limits.layers, {
    path: ["inner_group_num"],
    message: `expected at most ${limits.layers} layers in all`,
  })
  .refine(({ num_hidden_layers, num_hidden_groups }) => num_hidden_groups <= num_hidden_layers, {
    path: ["num_hidden_groups"],
    message: "expected at most num_hidden_layers",
  });

/**
 * ALBERT: Lan et al. 2020, arXiv 1909.11942; `AlbertModel` in transformers. BERT's encoder with narrow embeddings, whose
 * layers share their weights. Prompts do not: each application of a layer has one of its own.
 */
export const albert: Architecture<AlbertConfig> = postNormEncoder<AlbertConfig>({
  modelTypes: ["albert"],
  transformersClasses: { albert: "Albert" },
  prefix: "albert.",
  defaults: { padTokenId: 0, activation: "gelu_new", dropout: 0, embeddingSize: (given = 128) => given },
  parseOwn(config, json, where) {
    const own = parseConfigWith(schema, json, where);
    const { num_hidden_layers: layers, num_hidden_groups: groups, inner_group_num: inner } = own;
    return { ...config, numLayers: layers * inner, groups, inner };
  },
  layerName({ numLayers, groups, inner }, layer) {
    const group = Math.floor((Math.floor(layer / inner) * groups * inner) / numLayers);
    return `encoder.layer.${group}.${layer % inner}`;
  },
  isProjected: true,
  renames: [
    ["embeddings_project.", "encoder.embedding_hidden_mapping_in."],
    [/^encoder\.layer\.(\d+)\.(\d+)\./, "encoder.albert_layer_groups.$1.albert_layers.$2."],
    [".attention.self.", ".attention."],
    [".attention.output.", ".attention."],
    [".intermediate.dense.", ".ffn."],
    [".output.dense.", ".ffn_output."],
    [".output.LayerNorm.", ".full_layer_layer_norm."],
    [/^pooler\.dense\./, "pooler."],
  ],
  lmHead: { dense: "predictions.dense", norm: "predictions.LayerNorm", bias: "predictions.bias" },
  firstPosition: () => 0,
  promptPositionOffset: () => 0,
  undropped: "feed-forward",
  peftModules: {},
  peftRefusals: { PREFIX_TUNING: "transformers' ALBERT takes no keys and values from outside" },
});
