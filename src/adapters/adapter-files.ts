/** Which files an adapter folder consists of. */
export const weightsFile = "adapter_model.safetensors";
export const peftConfigFile = "adapter_config.json";
export const sidecarFile = "ptuning.json";
export const cardFile = "README.md";
/** Of a fine-tuned model. */
export const checkpointWeights = "model.safetensors";
export const checkpointConfig = "config.json";
